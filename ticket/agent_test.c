/* Door, key agreement, frames, consent and upload against a process that speaks for the agent. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <sodium.h>
#include <cmocka.h>

#include "agent.h"
#include "agent_side.h"
#include "fetch.h"
#include "peer.h"
#include "sample.h"
#include "upload.h"

struct test {
    pid_t child;
    struct agent *agent;
    struct review *review;
    struct pipeline *pipeline;
    struct fetch *fetch;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* One turn of the program's loop. Returns what agent_receive said last. */
static int turn(struct test *test, struct upload *upload)
{
    struct pollfd polls[AGENT_POLLS + 1];
    struct message message;
    int wait = upload ? upload_tick(upload, now_ms()) : fetch_tick(test->fetch, now_ms());
    agent_polls(test->agent, polls);
    polls[AGENT_POLLS] = (struct pollfd){.fd = pipeline_fd(test->pipeline), .events = POLLIN};
    if (upload ? upload_state(upload) < UPLOAD_DONE : fetch_state(test->fetch) < FETCH_DONE)
        assert_true(poll(polls, AGENT_POLLS + 1, wait < 0 ? 20000 : wait) > 0 || wait >= 0);
    int result;
    while ((result = agent_receive(test->agent, &message)) == 0) {
        if (!fetch_message(test->fetch, &message) && upload)
            upload_message(upload, &message);
        message_free(&message);
    }
    pipeline_step(test->pipeline);
    return result;
}

static void start(struct test *test, enum scenario scenario)
{
    struct agent_no no;
    test->child = agent_side_start(scenario);
    assert_int_equal(agent_connect(&test->agent, "agent", &no), 0);
    assert_int_equal(review_new(&test->review), 0);
    assert_int_equal(pipeline_new(&test->pipeline, test->review, 1), 0);
    assert_int_equal(fetch_new(&test->fetch, test->agent, test->review, test->pipeline), 0);
}

static void wait_child(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void finish(struct test *test)
{
    fetch_free(test->fetch);
    pipeline_free(test->pipeline);
    review_free(test->review);
    agent_free(test->agent);
    wait_child(test->child);
}

static void fetch_all(struct test *test)
{
    while (fetch_state(test->fetch) < FETCH_DONE || !review_complete(test->review))
        turn(test, NULL);
}

static void assert_frames(struct test *test, size_t lost_from, size_t lost_to)
{
    struct sample *sample = sample_new(SIDE_WIDTH, SIDE_HEIGHT);
    assert_int_equal(review_count(test->review), SIDE_COUNT);
    for (size_t i = 0; i < SIDE_COUNT; i++) {
        struct frame_info info;
        size_t length;
        struct picture *picture;
        free(sample_record(sample, i == 6, &length, &info));
        int lost = i >= lost_from && i < lost_to;
        assert_int_equal(review_frame(test->review, i)->state, lost ? REVIEW_LOST : REVIEW_READY);
        if (lost)
            continue;
        assert_int_equal(pipeline_picture(test->pipeline, i, &picture), 0);
        for (size_t k = 0; k < SIDE_WIDTH * SIDE_HEIGHT; k++)
            assert_int_equal(picture->pixels[k] & 0xffffff,
                             ((const uint32_t *)(const void *)sample_pixels(sample))[k]);
        picture_free(picture);
    }
    sample_free(sample);
}

static struct chunk_list *some_chunks(size_t length)
{
    struct chunk_list *chunks;
    uint8_t *bytes = malloc(length);
    peer_pattern(bytes, length, 5);
    assert_int_equal(chunk_list_new(&chunks, 1 << 30), 0);
    assert_int_equal(chunk_list_append(chunks, bytes, length), 0);
    assert_int_equal(chunk_list_finish(chunks), 0);
    free(bytes);
    return chunks;
}

static void all_frames_come_over(void)
{
    struct test test;
    start(&test, PLAIN);
    assert_string_equal(agent_config(test.agent)->destination, "console.example.org:443");
    fetch_all(&test);
    assert_int_equal(fetch_state(test.fetch), FETCH_DONE);
    assert_frames(&test, 0, 0);
    finish(&test);
}

static void the_door_says_no(void)
{
    struct agent *agent;
    struct agent_no no;
    pid_t child = agent_side_start(TURNED_AWAY);
    assert_int_equal(agent_connect(&agent, "agent", &no), AGENT_TURNED_AWAY);
    assert_string_equal(no.words, "not today");
    wait_child(child);
    assert_int_equal(agent_connect(&agent, "nowhere", &no), AGENT_ABSENT);
}

static void a_second_ticket_is_told_of_the_first(void)
{
    struct agent *agent;
    struct agent_no no;
    pid_t child = agent_side_start(ALREADY_OPEN);
    assert_int_equal(agent_connect(&agent, "agent", &no), AGENT_ALREADY_OPEN);
    assert_int_equal(no.pid, 4711);
    wait_child(child);
}

static void without_capture_there_is_a_reason(void)
{
    struct test test;
    start(&test, NO_CAPTURE);
    fetch_all(&test);
    assert_int_equal(fetch_state(test.fetch), FETCH_ENDED);
    assert_string_equal(fetch_why(test.fetch), "capture is not running");
    assert_int_equal(review_count(test.review), 0);
    finish(&test);
}

/* The key frame went; those that build on it go along, up to the next key frame. */
static void a_forgotten_frame_is_lost(void)
{
    struct test test;
    start(&test, FRAME_GONE);
    fetch_all(&test);
    assert_int_equal(fetch_state(test.fetch), FETCH_DONE);
    assert_frames(&test, 0, 6);
    finish(&test);
}

static void a_changed_part_ends_it(void)
{
    struct test test;
    start(&test, PART_CHANGED);
    fetch_all(&test);
    assert_int_equal(fetch_state(test.fetch), FETCH_ENDED);
    assert_frames(&test, 3, SIDE_COUNT);
    finish(&test);
}

static void a_changed_listing_ends_it(void)
{
    struct test test;
    start(&test, LISTING_CHANGED);
    fetch_all(&test);
    assert_int_equal(fetch_state(test.fetch), FETCH_ENDED);
    assert_int_equal(review_count(test.review), 5);
    assert_int_equal(review_totals(test.review).lost, 5);
    finish(&test);
}

static void upload_all(enum scenario scenario, enum upload_state want)
{
    struct test test;
    struct upload *upload;
    struct chunk_list *chunks = some_chunks(262144 * 9 + 5);
    start(&test, scenario);
    fetch_all(&test);
    assert_int_equal(upload_new(&upload, test.agent, chunks), 0);
    while (upload_state(upload) < UPLOAD_DONE)
        turn(&test, upload);
    assert_int_equal(upload_state(upload), want);
    if (want == UPLOAD_DONE) {
        assert_string_equal(upload_number(upload), "T-000123");
        assert_int_equal(upload_progress(upload), 262144 * 9 + 5);
    } else {
        assert_string_equal(upload_why(upload), "the vault did not sign");
    }
    upload_free(upload);
    chunk_list_free(chunks);
    finish(&test);
}

static void a_consented_bundle_gets_its_number(void)
{
    upload_all(PLAIN, UPLOAD_DONE);
}

static void a_refused_consent_is_told(void)
{
    upload_all(CONSENT_REFUSED, UPLOAD_FAILED);
}

static void a_consent_waits_for_the_vault(void)
{
    upload_all(VAULT_AWAY, UPLOAD_DONE);
}

static void the_upload_resumes(void)
{
    upload_all(CONSOLE_LOST, UPLOAD_DONE);
}

static void a_dead_broker_is_noticed(void)
{
    struct test test;
    start(&test, BROKER_GONE);
    int result;
    do
        result = turn(&test, NULL);
    while (result == AGENT_EMPTY);
    assert_int_equal(result, AGENT_LOST);
    finish(&test);
}

static void (*const tests[])(void) = {
    all_frames_come_over,
    the_door_says_no,
    a_second_ticket_is_told_of_the_first,
    without_capture_there_is_a_reason,
    a_forgotten_frame_is_lost,
    a_changed_part_ends_it,
    a_changed_listing_ends_it,
    a_consented_bundle_gets_its_number,
    a_refused_consent_is_told,
    a_consent_waits_for_the_vault,
    the_upload_resumes,
    a_dead_broker_is_noticed,
};

/* Each in a process of its own, since nng must not be touched before a fork. */
static void each_in_its_own_process(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            tests[i]();
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("test %zu failed with status %d", i, status);
    }
}

static int enter(void **state)
{
    assert_true(sodium_init() >= 0);
    peer_enter(state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest all[] = {cmocka_unit_test(each_in_its_own_process)};
    return cmocka_run_group_tests(all, enter, peer_leave);
}

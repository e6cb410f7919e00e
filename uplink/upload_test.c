#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "upload.h"

#define LAST_LENGTH 10

/* What the uploads did: the last of each, and how often. */
static struct {
    char text[2048];
    unsigned texts, binaries, news;
    uint8_t head[WIRE_HEADER_SIZE];
    size_t binary_length, queued;
    struct upload_news last;
    char number[32], code[64];
} seen;

static struct uploads *uploads;
static uint8_t bytes[WIRE_CHUNK_SIZE];

static int on_send_text(void *user, const char *text, size_t length)
{
    (void)user;
    assert_true(length < sizeof seen.text);
    strcpy(seen.text, text);
    seen.texts++;
    return 0;
}

static int on_send_binary(void *user, const void *frame, size_t length)
{
    (void)user;
    memcpy(seen.head, frame, WIRE_HEADER_SIZE);
    seen.binary_length = length;
    seen.binaries++;
    return 0;
}

static size_t on_queued(void *user)
{
    (void)user;
    return seen.queued;
}

static void on_news(void *user, const struct upload_news *news)
{
    (void)user;
    seen.last = *news;
    snprintf(seen.number, sizeof seen.number, "%s", news->number);
    snprintf(seen.code, sizeof seen.code, "%s", news->code ? news->code : "");
    seen.news++;
}

static const struct upload_callbacks callbacks = {on_send_text, on_send_binary, on_queued, on_news};

static int set_up(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    if (uploads_new(&uploads, &callbacks, NULL) < 0)
        return -1;
    uploads_limits(uploads, 2, 100 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    uploads = uploads_free(uploads);
    return 0;
}

static int offer(uint32_t ticket, uint32_t chunks)
{
    struct wire_bundle bundle = {.size = (uint64_t)(chunks - 1) * WIRE_CHUNK_SIZE + LAST_LENGTH,
                                 .chunks = chunks,
                                 .recipient_count = 1,
                                 .recipients = {"age1x"}};
    uint8_t *digests = calloc(chunks, WIRE_DIGEST_SIZE);
    int rc;

    bundle.ticket[0] = (uint8_t)ticket;
    rc = uploads_offer(uploads, ticket, &bundle, digests);
    free(digests);
    return rc;
}

static int say(enum wire_type type, uint32_t ticket, uint32_t index, int64_t now_ms)
{
    struct wire_message message = {.type = type, .has_ticket = true, .index = index};

    message.ticket[0] = (uint8_t)ticket;
    strcpy(message.number, "T-000007");
    strcpy(message.code, "storage");
    return uploads_receive(uploads, &message, now_ms);
}

static int hand_in(uint32_t ticket, uint32_t index, size_t length)
{
    return uploads_chunk(uploads, ticket, index, bytes, length, 0);
}

static void carries_a_bundle(void **state)
{
    const char *number;

    (void)state;
    assert_int_equal(uploads_begin(uploads, 5, 0), UPLOAD_NO_SUCH);
    assert_int_equal(offer(5, 3), 0);
    assert_int_equal(uploads_begin(uploads, 5, 0), 0);
    assert_non_null(strstr(seen.text, "bundle_begin"));
    assert_int_equal(uploads_begin(uploads, 5, 0),
                     0); /* again: it goes on, and is not said twice */
    assert_int_equal(seen.texts, 1);
    assert_int_equal(say(WIRE_BUNDLE_DIGESTS, 5, 0, 0), 0);
    assert_int_equal(seen.head[0], WIRE_KIND_DIGESTS);
    assert_int_equal(seen.binary_length, WIRE_HEADER_SIZE + 3 * WIRE_DIGEST_SIZE);
    assert_int_equal(hand_in(5, 0, WIRE_CHUNK_SIZE), UPLOAD_ORDER);
    assert_int_equal(say(WIRE_BUNDLE_READY, 5, 0, 0), 0);
    assert_int_equal(seen.last.event, UPLOAD_READY);
    assert_int_equal(seen.last.index, 0);
    assert_int_equal(hand_in(5, 1, WIRE_CHUNK_SIZE), UPLOAD_ORDER);
    assert_int_equal(hand_in(5, 0, WIRE_CHUNK_SIZE - 1), UPLOAD_LENGTH);
    assert_int_equal(hand_in(5, 0, WIRE_CHUNK_SIZE), 0);
    assert_int_equal(seen.last.event, UPLOAD_TAKEN);
    assert_int_equal(uploads_receipt(uploads, 5, &number), UPLOAD_ORDER);
    assert_int_equal(hand_in(5, 1, WIRE_CHUNK_SIZE), 0);
    assert_int_equal(seen.last.index, 1);
    assert_int_equal(hand_in(5, 2, LAST_LENGTH), 0);
    assert_int_equal(seen.last.index, 1); /* the window of 2 is full: chunk 2 is held */
    assert_int_equal(say(WIRE_BUNDLE_DONE, 5, 0, 0), UPLOAD_ORDER); /* nobody can have it yet */
    assert_int_equal(say(WIRE_CHUNK, 5, 0, 0), 0);
    assert_int_equal(seen.last.index, 2);
    assert_int_equal(seen.binary_length, WIRE_HEADER_SIZE + LAST_LENGTH);
    assert_int_equal(seen.head[17], 2);
    assert_int_equal(uploads_receipt(uploads, 5, &number), 0);
    assert_null(number);
    assert_int_equal(say(WIRE_BUNDLE_DONE, 5, 0, 0), 0);
    assert_int_equal(seen.last.event, UPLOAD_DONE);
    assert_string_equal(seen.number, "T-000007");
    assert_int_equal(uploads_receipt(uploads, 5, &number), 0);
    assert_string_equal(number, "T-000007");
    assert_int_equal(uploads_begin(uploads, 5, 0), UPLOAD_ORDER);
    assert_int_equal(uploads_deadline_ms(uploads), INT64_MAX);
}

static void resumes_where_the_console_says(void **state)
{
    (void)state;
    assert_int_equal(offer(5, 3), 0);
    assert_int_equal(uploads_begin(uploads, 5, 0), 0);
    assert_int_equal(say(WIRE_BUNDLE_READY, 5, 2, 0), 0);
    assert_int_equal(seen.last.index, 2);
    assert_int_equal(hand_in(5, 2, LAST_LENGTH), 0);
    assert_int_equal(say(WIRE_CHUNK, 5, 1, 0), 0); /* stale, harmless */
    assert_int_equal(say(WIRE_CHUNK, 5, 2, 0), 0);
    assert_int_equal(say(WIRE_BUNDLE_DONE, 5, 0, 0), 0);
}

/* A ticket program that gave up waiting begins again: with what has not been sent. */
static void resumes_what_is_under_way(void **state)
{
    const char *number;

    (void)state;
    assert_int_equal(offer(5, 4), 0);
    assert_int_equal(uploads_begin(uploads, 5, 0), 0);
    assert_int_equal(say(WIRE_BUNDLE_READY, 5, 0, 0), 0);
    for (uint32_t index = 0; index < 3; index++)
        assert_int_equal(hand_in(5, index, WIRE_CHUNK_SIZE), 0);
    assert_int_equal(seen.last.index, 1); /* the window of 2 is full: chunk 2 is held */
    assert_int_equal(uploads_begin(uploads, 5, 0), 0);
    assert_int_equal(seen.last.event, UPLOAD_READY);
    assert_int_equal(seen.last.index, 2);
    assert_int_equal(seen.texts, 1);
    assert_int_equal(hand_in(5, 3, LAST_LENGTH), UPLOAD_ORDER);
    assert_int_equal(hand_in(5, 2, WIRE_CHUNK_SIZE), 0);
    assert_int_equal(hand_in(5, 3, LAST_LENGTH), 0);
    assert_int_equal(say(WIRE_CHUNK, 5, 1, 0), 0);
    assert_int_equal(seen.last.index, 3);
    assert_int_equal(uploads_begin(uploads, 5, 0), 0); /* all is sent: nothing is missing */
    assert_int_equal(seen.last.event, UPLOAD_READY);
    assert_int_equal(seen.last.index, 4);
    assert_int_equal(uploads_receipt(uploads, 5, &number), 0);
    assert_int_equal(say(WIRE_BUNDLE_DONE, 5, 0, 0), 0);
}

static void knows_a_bundle_that_is_complete(void **state)
{
    (void)state;
    assert_int_equal(offer(5, 3), 0);
    assert_int_equal(uploads_begin(uploads, 5, 0), 0);
    assert_int_equal(say(WIRE_BUNDLE_DONE, 5, 0, 0), 0);
    assert_int_equal(seen.last.event, UPLOAD_DONE);
    assert_int_equal(seen.last.index, 3);
}

static void refuses_lies(void **state)
{
    (void)state;
    assert_int_equal(say(WIRE_BUNDLE_READY, 5, 0, 0), UPLOAD_ORDER);
    assert_int_equal(offer(5, 3), 0);
    assert_int_equal(say(WIRE_BUNDLE_READY, 5, 0, 0), UPLOAD_ORDER); /* not begun */
    assert_int_equal(uploads_begin(uploads, 5, 0), 0);
    assert_int_equal(say(WIRE_BUNDLE_READY, 5, 3, 0), UPLOAD_ORDER);
    assert_int_equal(say(WIRE_BUNDLE_DIGESTS, 5, 3, 0), UPLOAD_ORDER);
    assert_int_equal(say(WIRE_CHUNK, 5, 0, 0), UPLOAD_ORDER);
    assert_int_equal(say(WIRE_BUNDLE_ABORTED, 5, 0, 0), UPLOAD_ORDER);
    assert_int_equal(say(WIRE_BUNDLE_READY, 5, 0, 0), 0);
    assert_int_equal(say(WIRE_CHUNK, 5, 0, 0), UPLOAD_ORDER); /* nothing was sent */
    assert_int_equal(say(WIRE_BUNDLE_DONE, 5, 0, 0), UPLOAD_ORDER);
}

static void tells_failures_and_may_begin_again(void **state)
{
    (void)state;
    assert_int_equal(offer(5, 3), 0);
    assert_int_equal(uploads_begin(uploads, 5, 0), 0);
    assert_int_equal(say(WIRE_ERROR, 5, 0, 0), 0);
    assert_int_equal(seen.last.event, UPLOAD_FAILED);
    assert_string_equal(seen.code, "storage");
    assert_int_equal(say(WIRE_BUNDLE_READY, 5, 0, 0), UPLOAD_ORDER);
    assert_int_equal(uploads_begin(uploads, 5, 0), 0);
    uploads_forget(uploads);
    assert_string_equal(seen.code, "not_approved");
    assert_int_equal(uploads_begin(uploads, 5, 0), 0);
}

static void calls_off(void **state)
{
    unsigned news;

    (void)state;
    assert_int_equal(offer(5, 3), 0);
    assert_int_equal(uploads_begin(uploads, 5, 0), 0);
    assert_int_equal(say(WIRE_BUNDLE_READY, 5, 0, 0), 0);
    news = seen.news;
    uploads_end(uploads, 5, 0);
    assert_non_null(strstr(seen.text, "bundle_abort"));
    assert_int_equal(say(WIRE_CHUNK, 5, 0, 0), 0); /* crossed our abort */
    assert_int_equal(say(WIRE_BUNDLE_ABORTED, 5, 0, 0), 0);
    assert_int_equal(say(WIRE_BUNDLE_ABORTED, 5, 0, 0), UPLOAD_ORDER);
    assert_int_equal(seen.news, news);
    assert_int_equal(offer(5, 3), 0);
    uploads_end(uploads, 5, 0); /* never begun: nothing to call off */
    assert_int_equal(seen.texts, 2);
}

/* A console that is slow to answer bundle_abort keeps nobody's bundle out. */
static void an_ended_ticket_makes_room_at_once(void **state)
{
    struct fault fault = {0};
    uint32_t ticket = 1;

    (void)state;
    for (; ticket <= UPLOAD_ABORTS_MAX; ticket++) {
        assert_int_equal(offer(ticket, 3), 0);
        assert_int_equal(uploads_begin(uploads, ticket, 0), 0);
        uploads_end(uploads, ticket, 1000);
    }
    assert_int_equal(seen.texts, 2 * UPLOAD_ABORTS_MAX);
    assert_int_equal(offer(ticket, 3), 0);
    assert_int_equal(uploads_begin(uploads, ticket, 0), UPLOAD_BUSY);
    assert_int_equal(say(WIRE_BUNDLE_READY, 1, 0, 0), 0); /* stale */
    assert_int_equal(say(WIRE_BUNDLE_ABORTED, 1, 0, 0), 0);
    assert_int_equal(uploads_begin(uploads, ticket, 0), 0);
    assert_int_equal(uploads_deadline_ms(uploads), UPLOAD_ANSWER_MS);
    assert_int_equal(say(WIRE_BUNDLE_READY, ticket, 0, 0), 0);
    assert_int_equal(uploads_deadline_ms(uploads), 1000 + UPLOAD_ANSWER_MS);
    assert_true(uploads_tick(uploads, 999 + UPLOAD_ANSWER_MS, &fault));
    assert_false(uploads_tick(uploads, 1000 + UPLOAD_ANSWER_MS, &fault));
    uploads_forget(uploads);
    assert_int_equal(uploads_deadline_ms(uploads), INT64_MAX);
}

static void waits_for_the_network(void **state)
{
    (void)state;
    assert_int_equal(offer(5, 30), 0);
    uploads_limits(uploads, 64, 100 << 20);
    assert_int_equal(uploads_begin(uploads, 5, 0), 0);
    assert_int_equal(say(WIRE_BUNDLE_READY, 5, 0, 0), 0);
    seen.queued = UPLOAD_QUEUE_MAX + 1;
    assert_int_equal(hand_in(5, 0, WIRE_CHUNK_SIZE), 0);
    assert_int_equal(seen.last.event, UPLOAD_READY);
    for (uint32_t index = 1; index < UPLOAD_AHEAD_MAX; index++)
        assert_int_equal(hand_in(5, index, WIRE_CHUNK_SIZE), 0);
    assert_int_equal(hand_in(5, UPLOAD_AHEAD_MAX, WIRE_CHUNK_SIZE), UPLOAD_ORDER);
    assert_int_equal(seen.last.event, UPLOAD_READY);
    seen.queued = 0;
    assert_true(uploads_tick(uploads, 1, &(struct fault){0}));
    assert_int_equal(seen.last.event, UPLOAD_TAKEN);
    assert_int_equal(seen.last.index, UPLOAD_AHEAD_MAX - 1);
}

static void keeps_the_pace(void **state)
{
    uint32_t index = 0;

    (void)state;
    uploads_limits(uploads, 64, 200 << 20);
    assert_int_equal(offer(5, 400), 0);
    assert_int_equal(uploads_begin(uploads, 5, 0), 0);
    assert_int_equal(say(WIRE_BUNDLE_READY, 5, 0, 0), 0);
    while (seen.last.event == UPLOAD_READY || seen.last.index + 1 == index) {
        assert_int_equal(hand_in(5, index, WIRE_CHUNK_SIZE), 0);
        if (seen.last.index == index)
            assert_int_equal(say(WIRE_CHUNK, 5, index, 0), 0);
        index++;
    }
    assert_int_equal(index, UPLOAD_CHUNKS_PER_S + 1);
    assert_int_equal(uploads_deadline_ms(uploads), 1000);
    assert_true(uploads_tick(uploads, 1000, &(struct fault){0}));
    assert_int_equal(seen.last.index, UPLOAD_CHUNKS_PER_S);
}

static void gives_up_on_silence(void **state)
{
    struct fault fault = {0};

    (void)state;
    assert_int_equal(offer(5, 3), 0);
    assert_int_equal(uploads_begin(uploads, 5, 1000), 0);
    assert_int_equal(uploads_deadline_ms(uploads), 1000 + UPLOAD_ANSWER_MS);
    assert_true(uploads_tick(uploads, 999 + UPLOAD_ANSWER_MS, &fault));
    assert_false(uploads_tick(uploads, 1000 + UPLOAD_ANSWER_MS, &fault));
    assert_int_equal(fault.reason, FAULT_PHASE_TIMEOUT);
}

static void bounds_offers(void **state)
{
    struct wire_bundle bundle = {
        .size = 10, .chunks = 2, .recipient_count = 1, .recipients = {"age1x"}};

    (void)state;
    assert_int_equal(uploads_offer(uploads, 1, &bundle, bytes), UPLOAD_BAD_OFFER);
    bundle.chunks = 1;
    bundle.recipient_count = 0;
    assert_int_equal(uploads_offer(uploads, 1, &bundle, bytes), UPLOAD_BAD_OFFER);
    for (uint32_t ticket = 1; ticket <= UPLOAD_OFFERS_MAX; ticket++)
        assert_int_equal(offer(ticket, 1), 0);
    assert_int_equal(offer(99, 1), UPLOAD_TOO_MANY);
    assert_int_equal(offer(1, 2), 0); /* replaces */
    uploads_limits(uploads, 2, 5);
    assert_int_equal(uploads_begin(uploads, 1, 0), UPLOAD_TOO_LARGE);
}

#define unit(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(carries_a_bundle),
        unit(resumes_where_the_console_says),
        unit(resumes_what_is_under_way),
        unit(knows_a_bundle_that_is_complete),
        unit(refuses_lies),
        unit(tells_failures_and_may_begin_again),
        unit(calls_off),
        unit(an_ended_ticket_makes_room_at_once),
        unit(waits_for_the_network),
        unit(keeps_the_pace),
        unit(gives_up_on_silence),
        unit(bounds_offers),
    };

    return wire_setup() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

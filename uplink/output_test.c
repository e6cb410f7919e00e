#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "output.h"

static struct {
    unsigned sent, taken, refused;
    size_t queued;
    uint32_t last_taken, last_refused;
    enum output_refusal why;
    uint8_t head[WIRE_HEADER_SIZE];
    size_t length;
    int rc;
} seen;

static struct output output;
static struct output_pace pace;
static const uint8_t token[WIRE_TOKEN_SIZE] = "sixteen bytes id";
static uint8_t bytes[WIRE_OUTPUT_MAX + 1];

static int on_send_binary(void *user, const void *frame, size_t length)
{
    (void)user;
    if (seen.rc == 0) {
        memcpy(seen.head, frame, WIRE_HEADER_SIZE);
        seen.length = length;
        seen.sent++;
    }
    return seen.rc;
}

static size_t on_queued(void *user)
{
    (void)user;
    return seen.queued;
}

static void on_taken(void *user, uint32_t request)
{
    (void)user;
    seen.taken++;
    seen.last_taken = request;
}

static void on_refused(void *user, uint32_t request, enum output_refusal why)
{
    (void)user;
    seen.refused++;
    seen.last_refused = request;
    seen.why = why;
}

static const struct output_callbacks callbacks = {on_send_binary, on_queued, on_taken, on_refused};

static int set_up(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    memset(&pace, 0, sizeof pace);
    output_begin(&output, token, 0, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    output_end(&output, &callbacks, NULL, OUTPUT_NO_SUCH);
    return 0;
}

static void hand_in(uint32_t request, enum output_stream stream, uint32_t index, size_t length,
                    int64_t now_ms)
{
    output_hand_in(&output, &callbacks, NULL, request, stream, index, bytes, length, now_ms);
}

static int pump(int64_t now_ms)
{
    return output_pump(&output, &callbacks, NULL, &pace, now_ms);
}

static bool acknowledge(uint32_t stdout_count, uint32_t stderr_count, int64_t now_ms)
{
    return output_acknowledge(&output, &callbacks, NULL, stdout_count, stderr_count, now_ms);
}

static void writes_frames(void **state)
{
    (void)state;
    output_begin(&output, token, 0, 0x01020304);
    hand_in(1, OUTPUT_STDERR, 0x01020304, WIRE_OUTPUT_MAX, 0);
    assert_int_equal(pump(0), 0);
    assert_int_equal(seen.length, WIRE_BINARY_MAX);
    assert_int_equal(seen.head[0], WIRE_KIND_STDERR);
    assert_memory_equal(seen.head + 1, token, sizeof token);
    assert_memory_equal(seen.head + 17, "\4\3\2\1", 4);
    hand_in(1, OUTPUT_STDOUT, 0, 1, 0);
    assert_int_equal(pump(0), 0);
    assert_int_equal(seen.length, WIRE_HEADER_SIZE + 1);
    assert_int_equal(seen.head[0], WIRE_KIND_STDOUT);
}

static void refuses_what_is_no_chunk(void **state)
{
    (void)state;
    hand_in(1, OUTPUT_STDOUT, 0, 0, 0);
    assert_int_equal(seen.why, OUTPUT_ORDER);
    hand_in(2, OUTPUT_STDOUT, 0, WIRE_OUTPUT_MAX + 1, 0);
    assert_int_equal(seen.last_refused, 2);
    hand_in(3, OUTPUT_STDOUT, UINT32_MAX, 1, 0);
    assert_int_equal(seen.last_refused, 3);
    hand_in(4, OUTPUT_STDOUT, 7, 1, 0);
    hand_in(4, OUTPUT_STDOUT, 7, 1, 0); /* a second time: those before it are gone */
    hand_in(5, OUTPUT_STDOUT, 6, 1, 0); /* out of order */
    assert_int_equal(seen.last_refused, 5);
    assert_int_equal(seen.why, OUTPUT_ORDER);
    assert_int_equal(seen.refused, 5);
    assert_int_equal(output.count, 1);
}

static void goes_on_behind_what_is_gone(void **state)
{
    (void)state;
    for (uint32_t index = 5; index < 9; index++)
        hand_in(index, OUTPUT_STDOUT, index, 10, 0);
    assert_int_equal(seen.refused, 4);
    for (uint32_t index = 5; index < 9; index++)
        hand_in(index, OUTPUT_STDOUT, index, 10, 0);
    assert_int_equal(seen.refused, 4);
    assert_int_equal(pump(0), 0);
    assert_int_equal(seen.sent, 4);
}

/* The broker's queue was full for one of several: they come again, in their order. */
static void waits_for_what_is_missing(void **state)
{
    (void)state;
    hand_in(1, OUTPUT_STDOUT, 0, 10, 0);
    hand_in(3, OUTPUT_STDOUT, 2, 10, 0);
    hand_in(4, OUTPUT_STDOUT, 3, 10, 0);
    hand_in(5, OUTPUT_STDERR, 0, 10, 0);
    assert_int_equal(seen.refused, 2);
    assert_int_equal(seen.why, OUTPUT_BUSY);
    hand_in(6, OUTPUT_STDOUT, 1, 10, 0);
    hand_in(7, OUTPUT_STDOUT, 2, 10, 0);
    hand_in(8, OUTPUT_STDOUT, 3, 10, 0);
    assert_int_equal(seen.refused, 2);
    assert_int_equal(pump(0), 0);
    assert_int_equal(seen.sent, 5);
}

static void bounds_what_is_unanswered(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < WIRE_OUTPUT_WINDOW; i++)
        hand_in(100 + i, i % 2 ? OUTPUT_STDERR : OUTPUT_STDOUT, i / 2, 10, 0);
    assert_int_equal(pump(0), 0);
    assert_int_equal(seen.sent, WIRE_OUTPUT_WINDOW);
    hand_in(200, OUTPUT_STDOUT, 8, 10, 0);
    assert_int_equal(seen.why, OUTPUT_BUSY);
    assert_true(acknowledge(3, 1, 0));
    assert_int_equal(seen.taken, 4);
    assert_int_equal(output.count, WIRE_OUTPUT_WINDOW - 4);
    assert_int_equal(output.chunks[0].request, 103); /* what is left, in its order */
    assert_int_equal(output.chunks[1].request, 105);
    hand_in(201, OUTPUT_STDOUT, 8, 10, 0);
    assert_int_equal(seen.refused, 1);
    assert_false(acknowledge(9, 1, 0)); /* handed in, not sent */
    assert_int_equal(pump(0), 0);
    assert_true(acknowledge(9, 8, 0));
    assert_int_equal(output.count, 0);
    assert_int_equal(seen.taken, WIRE_OUTPUT_WINDOW + 1);
    assert_true(output.deadline_ms == INT64_MAX);
}

static void waits_for_room(void **state)
{
    (void)state;
    seen.queued = OUTPUT_QUEUE_MAX + 1;
    hand_in(1, OUTPUT_STDOUT, 0, 10, 0);
    assert_int_equal(pump(0), 0);
    assert_int_equal(seen.sent, 0);
    assert_true(output_deadline_ms(&output, &pace) == OUTPUT_HELD_MS);
    seen.queued = OUTPUT_QUEUE_MAX;
    seen.rc = -ENOMEM;
    assert_int_equal(pump(0), -ENOMEM);
    assert_int_equal(output.sent, 0);
    seen.rc = 0;
    assert_int_equal(pump(5), 0);
    assert_int_equal(seen.sent, 1);
    assert_true(output_deadline_ms(&output, &pace) == 5 + OUTPUT_ANSWER_MS);
}

static void keeps_the_pace(void **state)
{
    uint32_t index = 0;

    (void)state;
    for (; index < OUTPUT_CHUNKS_PER_S; index++) {
        hand_in(1, OUTPUT_STDOUT, index, 1, 5000);
        assert_int_equal(pump(5000), 0);
        assert_true(acknowledge(index + 1, 0, 5000));
    }
    hand_in(1, OUTPUT_STDOUT, index, 1, 5000);
    assert_int_equal(pump(5999), 0);
    assert_int_equal(seen.sent, OUTPUT_CHUNKS_PER_S);
    assert_true(output_deadline_ms(&output, &pace) == 6000);
    assert_int_equal(pump(6000), 0);
    assert_int_equal(seen.sent, OUTPUT_CHUNKS_PER_S + 1);
}

/* The broker told the runner that nobody answered; it hands in again what is on its way already. */
static void takes_a_chunk_again(void **state)
{
    (void)state;
    hand_in(1, OUTPUT_STDOUT, 0, 10, 0);
    hand_in(2, OUTPUT_STDOUT, 1, 10, 0);
    assert_int_equal(pump(0), 0);
    hand_in(3, OUTPUT_STDOUT, 0, 10, 100);
    assert_int_equal(seen.last_refused, 1);
    assert_int_equal(seen.why, OUTPUT_BUSY);
    assert_int_equal(output.count, 2);
    assert_true(acknowledge(1, 0, 100));
    assert_int_equal(seen.last_taken, 3);
    hand_in(4, OUTPUT_STDOUT, 0, 10, 100); /* the console has it */
    assert_int_equal(seen.last_taken, 4);
    assert_int_equal(pump(100), 0);
    assert_int_equal(seen.sent, 2);
}

static void gives_back_what_was_not_sent(void **state)
{
    (void)state;
    hand_in(1, OUTPUT_STDOUT, 0, 10, 0);
    assert_int_equal(pump(0), 0);
    seen.queued = OUTPUT_QUEUE_MAX + 1;
    hand_in(2, OUTPUT_STDOUT, 1, 10, 0);
    assert_false(output_should_give_back(&output, OUTPUT_HELD_MS - 1));
    assert_true(output_should_give_back(&output, OUTPUT_HELD_MS));
    output_give_back(&output, &callbacks, NULL);
    assert_int_equal(seen.last_refused, 2);
    assert_int_equal(seen.why, OUTPUT_BUSY);
    assert_int_equal(output.count, 1);
    assert_int_equal(output.streams[OUTPUT_STDOUT].out, 1);
    hand_in(3, OUTPUT_STDOUT, 1, 10, 0);
    assert_int_equal(seen.refused, 1);
    output_orphan(&output, &callbacks, NULL);
    assert_int_equal(seen.refused, 3);
    assert_false(output_should_give_back(&output, OUTPUT_HELD_MS));
    assert_true(output_deadline_ms(&output, &pace) == OUTPUT_ANSWER_MS);
    seen.queued = 0;
    assert_int_equal(pump(0), 0);
    assert_true(acknowledge(2, 0, 0));
    assert_int_equal(seen.taken, 0);
}

static void notices_answers_that_come_late(void **state)
{
    (void)state;
    hand_in(1, OUTPUT_STDOUT, 0, 10, 0);
    assert_int_equal(pump(0), 0);
    assert_true(acknowledge(1, 0, OUTPUT_LATE_MS - 1));
    assert_false(output_should_give_back(&output, OUTPUT_LATE_MS));
    hand_in(2, OUTPUT_STDOUT, 1, 10, 0);
    assert_int_equal(pump(0), 0);
    assert_true(acknowledge(2, 0, OUTPUT_LATE_MS));
    assert_true(output_should_give_back(&output, OUTPUT_LATE_MS));
    output_give_back(&output, &callbacks, NULL);
    assert_false(output_should_give_back(&output, OUTPUT_LATE_MS));
}

#define unit(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(writes_frames),
        unit(refuses_what_is_no_chunk),
        unit(goes_on_behind_what_is_gone),
        unit(waits_for_what_is_missing),
        unit(bounds_what_is_unanswered),
        unit(waits_for_room),
        unit(keeps_the_pace),
        unit(takes_a_chunk_again),
        unit(gives_back_what_was_not_sent),
        unit(notices_answers_that_come_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

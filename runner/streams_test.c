#include "streams.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

static struct streams streams;
static uint8_t *memory;
static uint32_t last_request;
static int64_t now;

static void begin(uint64_t limit)
{
    streams_begin(&streams, memory, limit);
    last_request = 0;
    now = 1000;
}

static int set_up(void **state)
{
    (void)state;
    memory = malloc(STREAMS_MEMORY);
    return !memory || sodium_init() < 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(memory);
    return 0;
}

/* As read(2) would: `length` bytes, as far as there is room. Returns how many there was room for.
 */
static size_t feed(enum stream_name name, uint8_t value, size_t length)
{
    size_t fed = 0;
    while (fed < length) {
        uint8_t *at;
        size_t room = streams_room(&streams, name, &at);
        size_t part = length - fed < room ? length - fed : room;
        if (part == 0)
            break;
        memset(at, value, part);
        streams_add(&streams, name, part, now);
        fed += part;
    }
    return fed;
}

/* Sends the next chunk, which must be this one. Returns its request. */
static uint32_t send_chunk(enum stream_name name, uint32_t index, uint32_t length)
{
    struct chunk *chunk = streams_next(&streams, now);
    assert_non_null(chunk);
    assert_int_equal(chunk->stream, name);
    assert_int_equal(chunk->index, index);
    assert_int_equal(chunk->length, length);
    streams_sent(&streams, chunk, ++last_request);
    return last_request;
}

static void nothing_to_send(void)
{
    assert_null(streams_next(&streams, now));
}

/* ---------------------------------------------------------------- borders */

static void test_full_chunk_goes_at_once(void **state)
{
    (void)state;
    begin(UINT32_MAX);
    feed(STREAM_OUT, 1, STREAMS_CHUNK - 1);
    nothing_to_send();
    feed(STREAM_OUT, 1, 2);
    send_chunk(STREAM_OUT, 0, STREAMS_CHUNK);
    nothing_to_send();
    assert_int_equal(streams_due_ms(&streams), now + STREAMS_PAUSE_MS);
}

static void test_part_goes_after_a_pause(void **state)
{
    (void)state;
    begin(UINT32_MAX);
    assert_int_equal(streams_due_ms(&streams), STREAMS_NEVER);
    feed(STREAM_ERR, 1, 10);
    assert_int_equal(streams_due_ms(&streams), 1000 + STREAMS_PAUSE_MS);
    now += STREAMS_PAUSE_MS - 1;
    feed(STREAM_ERR, 1, 5); /* the first byte's age counts */
    nothing_to_send();
    now++;
    send_chunk(STREAM_ERR, 0, 15);
    assert_int_equal(streams_due_ms(&streams), STREAMS_NEVER);
    feed(STREAM_ERR, 1, 7);
    now += STREAMS_PAUSE_MS;
    send_chunk(STREAM_ERR, 1, 7);
}

static void test_end_of_a_stream_sends_the_rest(void **state)
{
    (void)state;
    begin(UINT32_MAX);
    feed(STREAM_OUT, 1, 3);
    streams_close(&streams, STREAM_OUT);
    streams_close(&streams, STREAM_ERR);
    send_chunk(STREAM_OUT, 0, 3);
    nothing_to_send();
    assert_true(streams_closed(&streams));
    assert_false(streams_done(&streams));
    assert_true(streams_taken(&streams, last_request));
    assert_true(streams_done(&streams));
    uint8_t *at;
    assert_int_equal(streams_room(&streams, STREAM_OUT, &at), 0);
}

/* The older of two unfinished chunks goes first. */
static void test_streams_take_turns(void **state)
{
    (void)state;
    begin(UINT32_MAX);
    feed(STREAM_ERR, 1, 1);
    now += 5;
    feed(STREAM_OUT, 1, 2);
    now += STREAMS_PAUSE_MS;
    send_chunk(STREAM_ERR, 0, 1);
    send_chunk(STREAM_OUT, 0, 2);
    nothing_to_send();
}

/* Where it could not be sent, a part is not closed: it grows. */
static void test_parts_grow_while_nothing_is_taken(void **state)
{
    (void)state;
    begin(UINT32_MAX);
    for (uint32_t i = 0; i < STREAMS_WINDOW; i++) {
        feed(STREAM_OUT, 1, 1);
        now += STREAMS_PAUSE_MS;
        send_chunk(STREAM_OUT, i, 1);
    }
    for (int i = 0; i < 100; i++) {
        feed(STREAM_OUT, 1, 10);
        now += 1000;
        nothing_to_send();
    }
    assert_int_equal(streams_due_ms(&streams), STREAMS_NEVER);
    assert_true(streams_taken(&streams, 5));
    send_chunk(STREAM_OUT, STREAMS_WINDOW, 1000);
    nothing_to_send();
}

/* ---------------------------------------------------------------- room */

static void test_slots_run_out_and_come_back(void **state)
{
    (void)state;
    begin(UINT64_MAX);
    const size_t most = (size_t)STREAMS_SLOTS * STREAMS_CHUNK;
    size_t fed = feed(STREAM_OUT, 1, 2 * most);
    assert_int_equal(fed, most - STREAMS_CHUNK); /* one is for the other stream */
    assert_int_equal(feed(STREAM_OUT, 1, 1), 0);
    assert_int_equal(feed(STREAM_ERR, 2, STREAMS_CHUNK), STREAMS_CHUNK);
    assert_int_equal(feed(STREAM_ERR, 2, 1), 0);
    uint32_t first = send_chunk(STREAM_OUT, 0, STREAMS_CHUNK);
    uint32_t second = send_chunk(STREAM_OUT, 1, STREAMS_CHUNK);
    assert_true(streams_taken(&streams, second)); /* in any order */
    assert_int_equal(feed(STREAM_ERR, 2, 1), 1);
    assert_int_equal(feed(STREAM_OUT, 1, 1), 0);
    assert_true(streams_taken(&streams, first));
    assert_int_equal(feed(STREAM_OUT, 1, 1), 1);
}

static void test_spare_slots_after_the_end(void **state)
{
    (void)state;
    begin(UINT64_MAX);
    feed(STREAM_OUT, 1, (size_t)STREAMS_SLOTS * STREAMS_CHUNK);
    feed(STREAM_ERR, 1, STREAMS_CHUNK - 1);
    assert_int_equal(feed(STREAM_OUT, 1, 1), 0);
    streams_end(&streams);
    assert_int_equal(feed(STREAM_OUT, 1, 1 << 20), 1 << 20);
    assert_int_equal(feed(STREAM_ERR, 1, 1 << 20), 1 << 20);
}

static void test_closed_stream_needs_no_slot(void **state)
{
    (void)state;
    begin(UINT64_MAX);
    streams_close(&streams, STREAM_ERR);
    const size_t most = (size_t)STREAMS_SLOTS * STREAMS_CHUNK;
    assert_int_equal(feed(STREAM_OUT, 1, 2 * most), most);
}

/* ---------------------------------------------------------------- counting */

static void test_limit_of_both_together(void **state)
{
    (void)state;
    begin(100);
    feed(STREAM_OUT, 1, 60);
    assert_int_equal(feed(STREAM_ERR, 2, 50), 50); /* ten too many, in one read */
    assert_true(streams_overflowed(&streams));
    assert_int_equal(streams.stream[STREAM_ERR].kept, 40);
    assert_int_equal(streams.stream[STREAM_ERR].dropped, 10);
    assert_int_equal(feed(STREAM_OUT, 1, 1000000), 1000000); /* read, counted, thrown away */
    assert_int_equal(streams.stream[STREAM_OUT].kept, 60);
    assert_int_equal(streams.stream[STREAM_OUT].dropped, 1000000);
    streams_close(&streams, STREAM_OUT);
    streams_close(&streams, STREAM_ERR);
    send_chunk(STREAM_OUT, 0, 60);
    send_chunk(STREAM_ERR, 0, 40);
}

static void test_limit_exactly(void **state)
{
    (void)state;
    begin(100);
    feed(STREAM_OUT, 1, 100);
    assert_false(streams_overflowed(&streams));
    feed(STREAM_OUT, 1, 1);
    assert_true(streams_overflowed(&streams));
    begin(0);
    feed(STREAM_ERR, 1, 1);
    assert_true(streams_overflowed(&streams));
    streams_close(&streams, STREAM_OUT);
    streams_close(&streams, STREAM_ERR);
    assert_true(streams_done(&streams));
}

/* What is kept is hashed, and nothing else. */
static void test_hash(void **state)
{
    (void)state;
    uint8_t wanted[32], got[32], bytes[100];
    begin(100);
    memset(bytes, 3, sizeof bytes);
    feed(STREAM_OUT, 3, 70);
    feed(STREAM_OUT, 3, 70);
    crypto_hash_sha256(wanted, bytes, sizeof bytes);
    digest_value(&streams.stream[STREAM_OUT].digest, got);
    assert_memory_equal(got, wanted, sizeof got);
    crypto_hash_sha256(wanted, bytes, 0);
    digest_value(&streams.stream[STREAM_ERR].digest, got);
    assert_memory_equal(got, wanted, sizeof got);
}

/* ---------------------------------------------------------------- going on */

/* Three chunks of one byte on their way. */
static void send_three(void)
{
    begin(UINT32_MAX);
    for (uint32_t i = 0; i < 3; i++) {
        feed(STREAM_OUT, (uint8_t)i, 1);
        now += STREAMS_PAUSE_MS;
        send_chunk(STREAM_OUT, i, 1);
    }
}

static void test_refusal_stops_until_resumed(void **state)
{
    (void)state;
    send_three();
    assert_true(streams_refused(&streams, 1));
    feed(STREAM_OUT, 9, STREAMS_CHUNK);
    now += 1000;
    nothing_to_send();
    assert_true(streams_taken(&streams, 3)); /* that one had arrived */
    assert_true(streams_refused(&streams, 2));
    nothing_to_send();
    streams_resume(&streams, 0, 0);
    send_chunk(STREAM_OUT, 0, 1);
    send_chunk(STREAM_OUT, 1, 1);
    send_chunk(STREAM_OUT, 3, STREAMS_CHUNK);
    nothing_to_send();
}

static void test_resume_takes_what_the_console_has(void **state)
{
    (void)state;
    send_three();
    for (uint32_t i = 1; i <= 3; i++)
        streams_refused(&streams, i);
    streams_resume(&streams, 2, 77);
    send_chunk(STREAM_OUT, 2, 1);
    nothing_to_send();
}

static void test_resume_believes_nothing_that_was_not_sent(void **state)
{
    (void)state;
    begin(UINT32_MAX);
    feed(STREAM_OUT, 1, 3 * STREAMS_CHUNK);
    send_chunk(STREAM_OUT, 0, STREAMS_CHUNK);
    streams_resume(&streams, UINT32_MAX, UINT32_MAX);
    send_chunk(STREAM_OUT, 1, STREAMS_CHUNK);
    send_chunk(STREAM_OUT, 2, STREAMS_CHUNK);
    nothing_to_send();
}

/* Answers to requests from before are known, change nothing, and count towards the window. */
static void test_late_answers(void **state)
{
    (void)state;
    begin(UINT32_MAX);
    feed(STREAM_OUT, 1, (size_t)20 * STREAMS_CHUNK);
    for (uint32_t i = 0; i < STREAMS_WINDOW; i++)
        send_chunk(STREAM_OUT, i, STREAMS_CHUNK);
    streams_resume(&streams, 4, 0);
    nothing_to_send(); /* 16 are unanswered still */
    for (uint32_t i = 1; i <= 4; i++)
        assert_true(i % 2 ? streams_taken(&streams, i) : streams_refused(&streams, i));
    for (uint32_t i = 0; i < 4; i++)
        send_chunk(STREAM_OUT, 4 + i, STREAMS_CHUNK);
    nothing_to_send();
    for (uint32_t i = 5; i <= STREAMS_WINDOW; i++)
        assert_true(streams_taken(&streams, i));
    assert_int_equal(streams.chunk_count, 16);
    assert_true(streams_taken(&streams, 17));
    assert_int_equal(streams.chunk_count, 15);
}

static void test_unknown_answers(void **state)
{
    (void)state;
    send_three();
    assert_false(streams_taken(&streams, 4));
    assert_false(streams_refused(&streams, 4));
    assert_false(streams_taken(&streams, 0));
    feed(STREAM_OUT, 1, STREAMS_CHUNK); /* closed and not sent: it has no request */
    assert_false(streams_taken(&streams, 0));
    assert_true(streams_taken(&streams, 2));
    assert_false(streams_taken(&streams, 2));
}

static void test_giving_up(void **state)
{
    (void)state;
    send_three();
    feed(STREAM_ERR, 1, 500);
    streams_give_up(&streams);
    assert_int_equal(feed(STREAM_OUT, 1, 10), 10); /* dropped, so that the pipe comes to its end */
    streams_close(&streams, STREAM_OUT);
    streams_close(&streams, STREAM_ERR);
    assert_true(streams_done(&streams));
    nothing_to_send();
    assert_int_equal(streams.stream[STREAM_OUT].kept, 3);
    assert_int_equal(streams.stream[STREAM_OUT].dropped, 10);
    assert_int_equal(streams.free_count, STREAMS_SLOTS + STREAMS_SPARE);
    assert_true(streams_taken(&streams, 1)); /* late */
    streams_resume(&streams, 0, 0);
    nothing_to_send();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_chunk_goes_at_once),
        cmocka_unit_test(test_part_goes_after_a_pause),
        cmocka_unit_test(test_end_of_a_stream_sends_the_rest),
        cmocka_unit_test(test_streams_take_turns),
        cmocka_unit_test(test_parts_grow_while_nothing_is_taken),
        cmocka_unit_test(test_slots_run_out_and_come_back),
        cmocka_unit_test(test_spare_slots_after_the_end),
        cmocka_unit_test(test_closed_stream_needs_no_slot),
        cmocka_unit_test(test_limit_of_both_together),
        cmocka_unit_test(test_limit_exactly),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_refusal_stops_until_resumed),
        cmocka_unit_test(test_resume_takes_what_the_console_has),
        cmocka_unit_test(test_resume_believes_nothing_that_was_not_sent),
        cmocka_unit_test(test_late_answers),
        cmocka_unit_test(test_unknown_answers),
        cmocka_unit_test(test_giving_up),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

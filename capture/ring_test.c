#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "ring.h"

static struct ring *make(uint64_t max_age_ms, uint64_t max_bytes, uint32_t max_records)
{
    struct ring *ring = NULL;
    struct ring_limits limits = {max_age_ms, max_bytes, max_records};
    assert_int_equal(ring_new(&ring, &limits), 0);
    return ring;
}

/* Puts a record as capture does: a key frame when one is wanted. Returns whether it was one. */
static bool put(struct ring *ring, uint64_t id, size_t length, uint64_t now_ms)
{
    uint8_t *record = malloc(length);
    memset(record, (int)id, length);
    bool key = ring_wants_key(ring, now_ms);
    int outcome = ring_put(ring, id, key, record, length, now_ms);
    if (outcome == RING_NEEDS_KEY) {
        key = true;
        outcome = ring_put(ring, id, key, record, length, now_ms);
    }
    assert_int_equal(outcome, RING_OK);
    free(record);
    return key;
}

static void check(const struct ring *ring, uint64_t id, size_t length)
{
    uint8_t record[4096], expected[4096];
    size_t got = 0;
    memset(expected, (int)id, length);
    assert_int_equal(ring_get(ring, id, record, sizeof(record), &got), RING_OK);
    assert_int_equal(got, length);
    assert_memory_equal(record, expected, length);
}

static void keeps_and_gives_back(void **state)
{
    (void)state;
    struct ring *ring = make(1000, 1 << 20, 100);
    size_t length = 0, got = 0;
    uint8_t small[10];
    assert_int_equal(ring_next(ring, 0, &length), 0);
    for (uint64_t id = 1; id <= 50; id++)
        put(ring, id * 3, 100 + id, 5);
    assert_int_equal(ring_records(ring), 50);
    for (uint64_t id = 1; id <= 50; id++)
        check(ring, id * 3, 100 + id);
    assert_int_equal(ring_next(ring, 0, &length), 3);
    assert_int_equal(length, 101);
    assert_int_equal(ring_next(ring, 4, &length), 6);
    assert_int_equal(ring_next(ring, 149, &length), 150);
    assert_int_equal(ring_next(ring, 150, &length), 0);
    assert_int_equal(ring_get(ring, 4, small, sizeof(small), &got), RING_NO_SUCH);
    assert_int_equal(ring_get(ring, 0, small, sizeof(small), &got), RING_NO_SUCH);
    assert_int_equal(ring_get(ring, 151, small, sizeof(small), &got), RING_NO_SUCH);
    assert_int_equal(ring_get(ring, 3, small, sizeof(small), &got), RING_TOO_LARGE);
    ring_free(ring);
}

/* Whatever has been put and dropped: the oldest record is a key frame and no bound is exceeded. */
static void what_stays_begins_with_a_key_frame(void **state)
{
    (void)state;
    struct ring *ring = make(10000, 200000, 64);
    bool is_key[5001] = {false};
    srand(7);
    uint64_t now = 0;
    uint32_t least = UINT32_MAX;
    for (uint64_t id = 1; id <= 5000; id++) {
        now += (uint64_t)rand() % 300;
        is_key[id] = put(ring, id, 1 + (size_t)rand() % 4000, now);
        size_t length;
        uint64_t first = ring_next(ring, 0, &length);
        assert_true(is_key[first]);
        assert_true(ring_records(ring) <= 64);
        assert_true(ring_bytes(ring) <= 200000);
        assert_true(ring_expires_ms(ring) > now);
        assert_int_equal(ring_next(ring, id - 1, &length), id);
        check(ring, id, length);
        if (id > 500 && ring_records(ring) < least)
            least = ring_records(ring);
    }
    /* Bounded by age to about 66 records of 150 ms; an eighth of the history goes at a time. */
    assert_true(least > 30);
    ring_free(ring);
}

static void deltas_are_most_of_it(void **state)
{
    (void)state;
    struct ring *ring = make(1000000, 1 << 30, 296);
    unsigned keys = 0;
    for (uint64_t id = 1; id <= 1000; id++)
        keys += put(ring, id, id % 37 == 1 ? 4000 : 100, id);
    assert_in_range(keys, 1000 / 37, 1000 / 37 + 2);
    assert_true(ring_records(ring) > 296 - 37 - 1);
    ring_free(ring);
}

static void age_is_bounded_without_new_frames(void **state)
{
    (void)state;
    struct ring *ring = make(1000, 1 << 20, 100);
    assert_int_equal(ring_expires_ms(ring), UINT64_MAX);
    put(ring, 1, 10, 5000);
    put(ring, 2, 10, 5100);
    assert_true(put(ring, 3, 10, 5200)); /* an eighth of the age has passed */
    assert_int_equal(ring_expires_ms(ring), 6000);
    ring_expire(ring, 5999);
    assert_int_equal(ring_records(ring), 3);
    ring_expire(ring, 6000);
    assert_int_equal(ring_records(ring), 1);
    check(ring, 3, 10);
    ring_expire(ring, 6200);
    assert_int_equal(ring_records(ring), 0);
    assert_int_equal(ring_bytes(ring), 0);
    assert_true(ring_wants_key(ring, 6200));
    ring_free(ring);
}

static void a_delta_is_refused_without_its_group(void **state)
{
    (void)state;
    struct ring *ring = make(1000, 1000, 100);
    uint8_t record[2000] = {0};
    assert_int_equal(ring_put(ring, 1, false, record, 10, 0), RING_NEEDS_KEY);
    assert_int_equal(ring_put(ring, 1, true, record, 985, 0), RING_TOO_LARGE);
    assert_int_equal(ring_put(ring, 1, true, record, 984, 0), RING_OK);
    assert_int_equal(ring_put(ring, 2, false, record, 10, 0), RING_NEEDS_KEY);
    assert_int_equal(ring_records(ring), 0);
    assert_int_equal(ring_put(ring, 2, true, record, 10, 0), RING_OK);
    ring_free(ring);
}

static void nothing_decrypts_after_it_is_forgotten(void **state)
{
    (void)state;
    struct ring *ring = make(1000, 1 << 20, 100);
    uint8_t record[64];
    size_t length;
    put(ring, 1, 64, 0);
    put(ring, 2, 64, 0);
    ring_forget(ring);
    assert_int_equal(ring_records(ring), 0);
    assert_int_equal(ring_bytes(ring), 0);
    assert_int_equal(ring_next(ring, 0, &length), 0);
    assert_int_equal(ring_get(ring, 1, record, sizeof(record), &length), RING_NO_SUCH);
    put(ring, 3, 64, 0);
    check(ring, 3, 64);
    assert_int_equal(ring_limit(ring, &(struct ring_limits){1000, 200, 3}), 0);
    assert_int_equal(ring_records(ring), 0);
    for (uint64_t id = 4; id < 20; id++) {
        put(ring, id, 40, 0);
        assert_true(ring_records(ring) <= 3 && ring_bytes(ring) <= 200);
        check(ring, id, 40);
    }
    ring_free(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_and_gives_back),
        cmocka_unit_test(what_stays_begins_with_a_key_frame),
        cmocka_unit_test(deltas_are_most_of_it),
        cmocka_unit_test(age_is_bounded_without_new_frames),
        cmocka_unit_test(a_delta_is_refused_without_its_group),
        cmocka_unit_test(nothing_decrypts_after_it_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

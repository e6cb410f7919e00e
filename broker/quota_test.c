#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backoff.h"
#include "quota.h"

static void a_bucket_holds_a_second(void **state)
{
    (void)state;
    struct quota q = {0};
    for (int i = 0; i < 5; i++)
        assert_true(quota_take(&q, 5, 1000));
    assert_false(quota_take(&q, 5, 1000));
    assert_false(quota_take(&q, 5, 1199));
    assert_true(quota_take(&q, 5, 1200));
    assert_false(quota_take(&q, 5, 1200));
    /* However long the wait, the burst stays a second's worth. */
    for (int i = 0; i < 5; i++)
        assert_true(quota_take(&q, 5, UINT64_MAX - 1));
    assert_false(quota_take(&q, 5, UINT64_MAX));
}

static void a_clock_that_stands_still_gives_nothing(void **state)
{
    (void)state;
    struct quota q = {0};
    assert_true(quota_take(&q, 1, 500));
    assert_false(quota_take(&q, 1, 400));
    assert_false(quota_take(&q, 1, 400));
}

static void waits_grow_and_stay_in_their_half(void **state)
{
    (void)state;
    struct backoff b = {.first_ms = 100, .most_ms = 1000};
    uint32_t ceilings[] = {100, 200, 400, 800, 1000, 1000};
    for (size_t i = 0; i < 6; i++) {
        uint32_t wait = backoff_next(&b, 0x9e3779b9u * (uint32_t)i);
        assert_in_range(wait, ceilings[i] / 2, ceilings[i]);
    }
    backoff_reset(&b);
    assert_in_range(backoff_next(&b, UINT32_MAX), 50, 100);
    struct backoff longest = {
        .first_ms = UINT32_MAX, .most_ms = UINT32_MAX, .failures = UINT32_MAX};
    assert_in_range(backoff_next(&longest, UINT32_MAX), UINT32_MAX / 2, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_holds_a_second),
        cmocka_unit_test(a_clock_that_stands_still_gives_nothing),
        cmocka_unit_test(waits_grow_and_stay_in_their_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

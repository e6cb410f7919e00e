#include "ration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static int take_all(struct ration *ration, uint64_t now_ms)
{
    int taken = 0;
    while (taken < 1000 && ration_take(ration, now_ms))
        taken++;
    return taken;
}

static void burst_then_interval(void **state)
{
    (void)state;
    struct ration r;
    ration_begin(&r, 5, 1000, 77);
    assert_int_equal(take_all(&r, 77), 5);
    assert_int_equal(take_all(&r, 1076), 0);
    assert_int_equal(take_all(&r, 1077), 1);
    assert_int_equal(take_all(&r, 2500), 1);
    assert_int_equal(take_all(&r, 3077), 1);
}

static void never_more_than_the_burst(void **state)
{
    (void)state;
    struct ration r;
    ration_begin(&r, 3, 10, 0);
    assert_int_equal(take_all(&r, UINT64_MAX), 3);
    assert_int_equal(take_all(&r, UINT64_MAX), 0);
}

static void an_idle_full_bucket_saves_no_time(void **state)
{
    (void)state;
    struct ration r;
    ration_begin(&r, 2, 1000, 0);
    assert_int_equal(take_all(&r, 999999), 2);
    assert_int_equal(take_all(&r, 1000998), 0);
    assert_int_equal(take_all(&r, 1000999), 1);
}

static void a_clock_set_back_gives_nothing(void **state)
{
    (void)state;
    struct ration r;
    ration_begin(&r, 1, 1000, 50000);
    assert_int_equal(take_all(&r, 50000), 1);
    assert_int_equal(take_all(&r, 0), 0);
    assert_int_equal(take_all(&r, 50999), 0);
    assert_int_equal(take_all(&r, 51000), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(burst_then_interval),
        cmocka_unit_test(never_more_than_the_burst),
        cmocka_unit_test(an_idle_full_bucket_saves_no_time),
        cmocka_unit_test(a_clock_set_back_gives_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

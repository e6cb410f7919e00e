#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "budget.h"

static void spends_in_advance_and_then_waits(void **state)
{
    (void)state;
    struct budget budget = budget_new(20, 100, 1000);
    assert_int_equal(budget_wait_ms(&budget, 1000), 0);
    budget_charge(&budget, 99, 1000);
    assert_int_equal(budget_wait_ms(&budget, 1000), 0);
    budget_charge(&budget, 21, 1000);
    /* 20 units of debt are paid back in one second. */
    assert_int_equal(budget_wait_ms(&budget, 1000), 1001);
    assert_int_equal(budget_wait_ms(&budget, 1500), 501);
    assert_int_equal(budget_wait_ms(&budget, 2001), 0);
}

static void never_holds_more_than_its_depth(void **state)
{
    (void)state;
    struct budget budget = budget_new(1000, 10, 0);
    budget_charge(&budget, 10, UINT64_C(1) << 50);
    assert_int_equal(budget_wait_ms(&budget, UINT64_C(1) << 50), 1);
}

static void the_average_never_exceeds_the_rate(void **state)
{
    (void)state;
    struct budget budget = budget_new(20000, 200000, 0);
    uint64_t spent = 0, now = 0;
    while (now < 1000000) {
        now += 1 + budget_wait_ms(&budget, now);
        budget_charge(&budget, 13000, now);
        spent += 13000;
    }
    assert_in_range(spent, 20000 * 1000, 20000 * 1000 + 200000 + 2 * 13000 + 20000);
}

static void extremes_do_not_overflow(void **state)
{
    (void)state;
    struct budget budget = budget_new(0, 0, 0);
    for (int i = 0; i < 100; i++)
        budget_charge(&budget, UINT64_MAX, UINT64_MAX - 100 + (uint64_t)i);
    assert_true(budget_wait_ms(&budget, UINT64_MAX) > 0);
    budget = budget_new(UINT64_MAX, UINT64_MAX, 5);
    assert_int_equal(budget_wait_ms(&budget, 4), 0);
    budget_charge(&budget, UINT64_MAX, 0);
    assert_int_equal(budget_wait_ms(&budget, UINT64_MAX), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spends_in_advance_and_then_waits),
        cmocka_unit_test(never_holds_more_than_its_depth),
        cmocka_unit_test(the_average_never_exceeds_the_rate),
        cmocka_unit_test(extremes_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

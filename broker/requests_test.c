#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "requests.h"

static struct requests table;

static int fresh(void **state)
{
    (void)state;
    memset(&table, 0, sizeof(table));
    return 0;
}

static uint32_t add(uint64_t asker, uint32_t number, uint64_t answerer)
{
    uint32_t out = 0;
    assert_int_equal(requests_add(&table, asker, number, answerer, 13, 1000, &out), REQUESTS_OK);
    return out;
}

static void only_the_asked_may_answer(void **state)
{
    (void)state;
    uint32_t n = add(1, 77, 2);
    assert_null(requests_find(&table, 3, n));
    assert_null(requests_find(&table, 2, n + 1));
    assert_null(requests_find(&table, 2, 0));
    struct request *r = requests_find(&table, 2, n);
    assert_non_null(r);
    assert_int_equal(r->asker_number, 77);
    requests_remove(&table, r);
    assert_null(requests_find(&table, 2, n));
}

static void a_number_in_use_is_refused(void **state)
{
    (void)state;
    add(1, 77, 2);
    uint32_t out;
    assert_int_equal(requests_add(&table, 1, 77, 2, 13, 1000, &out), REQUESTS_DUPLICATE);
    add(4, 77, 2); /* another's numbers are its own */
}

static void floods_are_bounded(void **state)
{
    (void)state;
    uint32_t out;
    for (uint32_t i = 0; i < REQUESTS_PER_ASKER; i++)
        add(1, i + 1, 2);
    assert_int_equal(requests_add(&table, 1, 1000, 2, 13, 1000, &out), REQUESTS_FLOOD);
    for (uint32_t i = REQUESTS_PER_ASKER; i < REQUESTS_PER_ANSWERER; i++)
        add(10 + i, 1, 2);
    assert_int_equal(requests_add(&table, 5000, 1, 2, 13, 1000, &out), REQUESTS_BUSY);
    add(5000, 1, 3);
}

static void a_late_answer_is_known_and_a_lost_asker_forgotten(void **state)
{
    (void)state;
    uint32_t n = add(1, 5, 2);
    assert_int_equal(requests_next_deadline(&table), 1000);
    assert_null(requests_overdue(&table, 999));
    struct request *late = requests_overdue(&table, 1000);
    assert_non_null(late);
    late->timed_out = true;
    assert_null(requests_overdue(&table, 5000));
    assert_int_equal(requests_next_deadline(&table), UINT64_MAX);
    assert_non_null(requests_find(&table, 2, n));

    uint32_t m = add(1, 6, 2);
    requests_drop_asker(&table, 1);
    assert_int_equal(requests_find(&table, 2, m)->asker, 0);
    assert_null(requests_overdue(&table, 5000));
    int owed = 0;
    for (struct request *r; (r = requests_owed_by(&table, 2)); owed++)
        requests_remove(&table, r);
    assert_int_equal(owed, 2);
    assert_int_equal(table.count, 0);
}

/* Answers that nobody waits for any more must not use up what an answerer may owe. */
static void who_owes_too_long_hangs(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < REQUESTS_OVERDUE_MAX; i++)
        add(1, i + 1, 2);
    add(1, 100, 3);
    requests_drop_asker(&table, 1);
    assert_int_equal(requests_hung_answerer(&table, 999), 0);
    assert_int_equal(requests_hung_answerer(&table, 1000), 2);
    requests_remove(&table, requests_owed_by(&table, 2));
    assert_int_equal(requests_hung_answerer(&table, 1000), 0);
}

static void what_timed_out_is_no_flood(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2 * REQUESTS_PER_ASKER; i++) {
        add(1, i + 1, 2);
        requests_overdue(&table, 1000)->timed_out = true;
    }
}

static void numbers_wrap_past_zero(void **state)
{
    (void)state;
    table.last = UINT32_MAX - 1;
    assert_int_equal(add(1, 1, 2), UINT32_MAX);
    assert_int_equal(add(1, 2, 2), 1);
    table.last = UINT32_MAX - 1;
    assert_int_equal(add(1, 3, 2), 2); /* UINT32_MAX and 1 are still owed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(only_the_asked_may_answer, fresh),
        cmocka_unit_test_setup(a_number_in_use_is_refused, fresh),
        cmocka_unit_test_setup(floods_are_bounded, fresh),
        cmocka_unit_test_setup(a_late_answer_is_known_and_a_lost_asker_forgotten, fresh),
        cmocka_unit_test_setup(who_owes_too_long_hangs, fresh),
        cmocka_unit_test_setup(what_timed_out_is_no_flood, fresh),
        cmocka_unit_test_setup(numbers_wrap_past_zero, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

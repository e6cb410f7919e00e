#include "log_budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "log.h"

/* A day of a flood: 100 refused tokens a second. */
static void a_flood_does_not_fill_the_log(void **state)
{
    (void)state;
    struct log_budget budget;
    unsigned lines = 0;
    log_budget_begin(&budget, 32, 10000, 1);
    log_set_level(LOG_EMERG);
    for (uint64_t now = 1; now <= 86400000; now += 10)
        lines += log_budget_take(&budget, now, "lines");
    assert_in_range(lines, 8640, 8640 + 32);
    log_set_level(LOG_DEBUG);
}

static void it_says_how_many_were_left_out(void **state)
{
    (void)state;
    struct log_budget budget;
    char text[256];
    int ends[2], error = dup(2);
    assert_int_equal(pipe(ends), 0);
    log_budget_begin(&budget, 32, 10000, 1);
    for (int i = 0; i < 1000; i++)
        log_budget_take(&budget, 1, "refused tokens");
    assert_int_equal(budget.left_out, 968);
    assert_int_equal(dup2(ends[1], 2), 2);
    bool taken = log_budget_take(&budget, 10001, "refused tokens");
    assert_int_equal(dup2(error, 2), 2);
    assert_true(taken);
    ssize_t n = read(ends[0], text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_non_null(strstr(text, "968 refused tokens were not logged"));
    assert_int_equal(budget.left_out, 0);
    close(error);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_does_not_fill_the_log),
        cmocka_unit_test(it_says_how_many_were_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

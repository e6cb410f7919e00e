/*
 * The shipped cloister-runner and cloister-command in their sandboxes, over a real channel.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "played.h"

static struct played played;

/* ---------------------------------------------------------------- how it ends */

static void test_exit_status(void **state)
{
    (void)state;
    struct order order = played_order("/bin/sh", "-c", "echo out; echo err >&2; exit 7");
    order.argc = 3;
    played_run(&played, &order);
    played_exited(&played, 7);
    played_wrote(&played, STREAM_OUT, "out\n");
    played_wrote(&played, STREAM_ERR, "err\n");
    assert_int_equal(played.finished.limit, ipc_CommandLimit_LIMIT_NONE);
    played_end(&played);
}

static void test_true(void **state)
{
    (void)state;
    struct order order = played_order("/bin/true", NULL, NULL);
    played_run(&played, &order);
    played_exited(&played, 0);
    assert_int_equal(played.length[STREAM_OUT] + played.length[STREAM_ERR], 0);
    played_end(&played);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_status),
        cmocka_unit_test(test_true),
    };
    if (geteuid() != 0)
        return 77; /* namespaces and accounts */
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

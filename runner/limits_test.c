/*
 * Commands that want more than they may, with the shipped cloister-runner and cloister-command in
 * their sandboxes, over a real channel.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "fixture.h"

static void test_time_limit(void **state)
{
    (void)state;
    struct order order = shell("echo begun; exec sleep 60");
    order.time_ms = 200;
    played_run(&played, &order);
    assert_int_equal(played.finished.end, ipc_CommandEnd_END_SIGNALLED);
    assert_int_equal(played.finished.code, SIGTERM);
    assert_int_equal(played.finished.limit, ipc_CommandLimit_LIMIT_TIME);
    played_wrote(&played, STREAM_OUT, "begun\n");
}

/* SIGTERM ignored, and all of them stopped: SIGKILL comes 2 s later. */
static void test_time_limit_with_a_deaf_command(void **state)
{
    (void)state;
    struct order order = shell("trap '' TERM; (kill -STOP $(exec sh -c 'echo $PPID')) & "
                               "echo begun; while :; do sleep 60; done");
    order.time_ms = 100;
    played_run(&played, &order);
    assert_int_equal(played.finished.end, ipc_CommandEnd_END_SIGNALLED);
    assert_int_equal(played.finished.code, SIGKILL);
    assert_int_equal(played.finished.limit, ipc_CommandLimit_LIMIT_TIME);
    assert_in_range(played.finished.ended_ms - played.finished.started_ms, 2000, 10000);
}

static void test_stopped_command(void **state)
{
    (void)state;
    struct order order = shell("kill -STOP $$");
    order.time_ms = 100;
    played_run(&played, &order);
    assert_int_equal(played.finished.code, SIGKILL);
    assert_int_equal(played.finished.limit, ipc_CommandLimit_LIMIT_TIME);
}

static void test_output_limit(void **state)
{
    (void)state;
    struct order order = shell("exec cat /dev/zero");
    order.output_bytes = 300000;
    played_run(&played, &order);
    assert_int_equal(played.finished.end, ipc_CommandEnd_END_SIGNALLED);
    assert_int_equal(played.finished.limit, ipc_CommandLimit_LIMIT_OUTPUT);
    assert_int_equal(played.length[STREAM_OUT], 300000);
    assert_true(played.finished.out.dropped > 0);
}

/* One byte more than it may, and it was over before it could be ended. */
static void test_output_limit_is_both_streams_together(void **state)
{
    (void)state;
    struct order order = shell("echo 1234; echo 56789 >&2");
    order.output_bytes = 10;
    played_run(&played, &order);
    assert_int_equal(played.finished.limit, ipc_CommandLimit_LIMIT_OUTPUT);
    assert_int_equal(played.length[STREAM_OUT] + played.length[STREAM_ERR], 10);
    assert_int_equal(played.finished.out.dropped + played.finished.err.dropped, 1);
}

static void test_output_limit_of_nothing(void **state)
{
    (void)state;
    struct order order = shell("true");
    order.output_bytes = 0;
    played_run(&played, &order);
    played_exited(&played, 0);
    assert_int_equal(played.finished.limit, ipc_CommandLimit_LIMIT_NONE);
}

/* ---------------------------------------------------------------- nothing outlives it */

/* A process that left its parent and session holds the pipe open; it dies with the command. */
static void test_double_fork(void **state)
{
    (void)state;
    struct order order =
        shell("(setsid sh -c 'trap \"\" TERM HUP; sleep 60' &) ; echo parent; exit 0");
    played_run(&played, &order);
    played_exited(&played, 0);
    played_wrote(&played, STREAM_OUT, "parent\n");
    assert_true(played.finished.ended_ms - played.finished.started_ms < 10000);
}

static void test_fork_bomb(void **state)
{
    (void)state;
    /* Its control group bounds it otherwise, which the monitor makes. */
    struct order order = shell("ulimit -p 64; b() { b | b & }; b; while :; do sleep 60; done");
    order.time_ms = 300;
    played_run(&played, &order);
    assert_int_equal(played.finished.limit, ipc_CommandLimit_LIMIT_TIME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_time_limit, fixture_end),
        cmocka_unit_test_teardown(test_time_limit_with_a_deaf_command, fixture_end),
        cmocka_unit_test_teardown(test_stopped_command, fixture_end),
        cmocka_unit_test_teardown(test_output_limit, fixture_end),
        cmocka_unit_test_teardown(test_output_limit_is_both_streams_together, fixture_end),
        cmocka_unit_test_teardown(test_output_limit_of_nothing, fixture_end),
        cmocka_unit_test_teardown(test_double_fork, fixture_end),
        cmocka_unit_test_teardown(test_fork_bomb, fixture_end),
    };
    if (geteuid() != 0)
        return 77; /* namespaces and accounts */
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

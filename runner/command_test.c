/*
 * The shipped cloister-command in its sandbox, with the test as its runner at the link's other end.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "exit_code.h"
#include "link.h"
#include "played.h"

static struct launched_pair pair;
static struct order order;
static int link_fd;
static int out; /* what the command writes as standard output */

static void start(struct order wanted)
{
    struct link_message hello;
    order = wanted;
    out = -1;
    launched_prepare(&pair, &order);
    pair.wake = dup(0); /* there is no channel */
    launched_command(&pair);
    link_fd = pair.link[0];
    struct timeval limit = {20, 0};
    setsockopt(link_fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(link_receive(link_fd, &hello), 0);
    assert_int_equal(hello.word, LINK_HELLO);
}

static void start_shell(const char *text)
{
    start(played_order("/bin/sh", "-c", text));
}

static int tear_down(void **state)
{
    (void)state;
    if (out >= 0)
        close(out);
    launched_remove(&pair);
    return 0;
}

static void send_bytes(const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    while (length > 0) {
        ssize_t n = send(link_fd, at, length, MSG_NOSIGNAL);
        if (n < 0)
            return; /* it has gone */
        at += n;
        length -= (size_t)n;
    }
}

/* Says ORDER of this length, with three pipe ends of which the test keeps standard output's. */
static void announce(uint32_t length)
{
    int ends[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(link_send_order(link_fd, length, (int[]){null, ends[1], null}), 0);
    close(ends[1]);
    close(null);
    out = ends[0];
}

static void hand_over(void)
{
    announce((uint32_t)pair.order_length);
    send_bytes(pair.order, pair.order_length);
}

static void expect(uint32_t word, uint32_t value, uint32_t more)
{
    struct link_message message;
    assert_int_equal(link_receive(link_fd, &message), 0);
    assert_int_equal(message.word, word);
    assert_int_equal(message.value, value);
    assert_int_equal(message.more, more);
}

/* Waits for what the command writes first. */
static void expect_output(const char *text)
{
    char got[64] = {0};
    struct pollfd ready = {out, POLLIN, 0};
    assert_int_equal(poll(&ready, 1, 20000), 1);
    assert_true(read(out, got, sizeof got - 1) > 0);
    assert_string_equal(got, text);
}

/* Whatever held the pipe is dead. */
static void expect_end_of_output(void)
{
    char byte;
    struct pollfd ready = {out, POLLIN, 0};
    assert_int_equal(poll(&ready, 1, 20000), 1);
    assert_int_equal(read(out, &byte, 1), 0);
}

static void expect_exit(int status)
{
    int got = launched_wait(&pair.command);
    assert_true(WIFEXITED(got));
    assert_int_equal(WEXITSTATUS(got), status);
}

/* ---------------------------------------------------------------- a command's life */

static void test_whole_life(void **state)
{
    (void)state;
    start_shell("echo here; exit 9");
    hand_over();
    expect(LINK_STARTED, 0, 0);
    expect(LINK_ENDED, LINK_EXITED, 9);
    expect_output("here\n");
    expect_end_of_output();
    expect_exit(0);
}

static void test_killed_by_a_signal(void **state)
{
    (void)state;
    start_shell("kill -USR1 $$");
    hand_over();
    expect(LINK_STARTED, 0, 0);
    expect(LINK_ENDED, LINK_SIGNALLED, SIGUSR1);
    expect_exit(0);
}

static void test_not_executed(void **state)
{
    (void)state;
    start(played_order("/usr", NULL, NULL));
    hand_over();
    expect(LINK_NOT_STARTED, EACCES, 0);
    expect_exit(0);
}

static void test_script_of_the_largest_size(void **state)
{
    (void)state;
    static char text[ORDER_MAX - ORDER_HEAD_SIZE + 1];
    memset(text, '#', sizeof text - 1);
    memcpy(text, "#!/bin/sh\nexit 6\n", 17);
    start(played_script(text));
    assert_int_equal(pair.order_length, ORDER_MAX);
    hand_over();
    expect(LINK_STARTED, 0, 0);
    expect(LINK_ENDED, LINK_EXITED, 6);
}

/* All of them hear it, and each can answer in its own way. */
static void test_terminate_reaches_all(void **state)
{
    (void)state;
    start_shell("trap 'wait; exit 5' TERM;"
                "(trap 'echo child; exit' TERM; echo up; while :; do sleep 0.01; done) & wait");
    hand_over();
    expect(LINK_STARTED, 0, 0);
    expect_output("up\n");
    assert_int_equal(link_send(link_fd, LINK_TERMINATE, 0, 0), 0);
    expect(LINK_ENDED, LINK_EXITED, 5);
    expect_output("child\n");
    expect_end_of_output();
}

static void test_kill_reaches_all(void **state)
{
    (void)state;
    start_shell("trap '' TERM; (trap '' TERM; setsid sleep 60) & kill -STOP $!; echo up;"
                "while :; do sleep 60; done");
    hand_over();
    expect(LINK_STARTED, 0, 0);
    expect_output("up\n");
    assert_int_equal(link_send(link_fd, LINK_TERMINATE, 0, 0), 0);
    assert_int_equal(link_send(link_fd, LINK_KILL, 0, 0), 0);
    expect(LINK_ENDED, LINK_SIGNALLED, SIGKILL);
    expect_end_of_output();
    expect_exit(0);
}

/* Its children that ended long ago do not stay as zombies, and those that are left die. */
static void test_orphans_are_reaped(void **state)
{
    (void)state;
    start_shell("for i in 1 2 3 4 5; do (setsid sh -c true &) ; done; (sleep 60 &); sleep 0.2;"
                "echo $(ps -e -o stat= | grep -c Z)");
    hand_over();
    expect(LINK_STARTED, 0, 0);
    expect(LINK_ENDED, LINK_EXITED, 0);
    expect_output("0\n");
    expect_end_of_output();
}

/* With a limit of 0 a core_pattern(5) that is a pipe would start a program of root's for its crash.
 */
static void test_crash_starts_no_handler(void **state)
{
    (void)state;
    start_shell("set -- $(grep core /proc/self/limits); echo $5 $6");
    hand_over();
    expect(LINK_STARTED, 0, 0);
    expect(LINK_ENDED, LINK_EXITED, 0);
#ifdef __SANITIZE_ADDRESS__
    expect_output("0 1\n"); /* AddressSanitizer lowers it for what it is built into */
#else
    expect_output("1 1\n");
#endif
}

/* ---------------------------------------------------------------- the runner goes */

static void test_runner_goes_before_the_order(void **state)
{
    (void)state;
    start_shell("echo ran");
    shutdown(link_fd, SHUT_RDWR);
    expect_exit(WORKER_EXIT_PROTOCOL);
}

static void test_runner_goes_within_the_order(void **state)
{
    (void)state;
    start_shell("echo ran");
    announce((uint32_t)pair.order_length);
    send_bytes(pair.order, pair.order_length - 1);
    shutdown(link_fd, SHUT_RDWR);
    expect_exit(WORKER_EXIT_PROTOCOL);
    expect_end_of_output();
}

static void test_runner_goes_while_it_runs(void **state)
{
    (void)state;
    start_shell("trap '' TERM HUP; (setsid sleep 60) & echo up; while :; do sleep 60; done");
    hand_over();
    expect_output("up\n");
    shutdown(link_fd, SHUT_RDWR);
    expect_exit(0);
    expect_end_of_output();
}

/* ---------------------------------------------------------------- what is no order */

/* It runs nothing, and says that its runner is not one. */
static void expect_refused(void)
{
    expect_exit(WORKER_EXIT_PROTOCOL);
    if (out >= 0)
        expect_end_of_output();
}

static void test_order_of_another_profile(void **state)
{
    (void)state;
    for (uint8_t profile = 2; profile <= 3; profile++) {
        start_shell("echo ran");
        pair.order[12] = profile;
        hand_over();
        expect_refused();
        if (profile == 2)
            tear_down(state);
    }
}

static void test_damaged_order(void **state)
{
    (void)state;
    start_shell("echo ran");
    pair.order[80]++; /* an argument more than there is */
    hand_over();
    expect_refused();
}

static void test_order_that_is_too_long(void **state)
{
    (void)state;
    start_shell("echo ran");
    announce(ORDER_MAX + 1);
    expect_refused();
}

static void test_order_that_is_too_short(void **state)
{
    (void)state;
    start_shell("echo ran");
    announce(0);
    expect_refused();
}

static void test_other_words_than_an_order(void **state)
{
    (void)state;
    start_shell("echo ran");
    assert_int_equal(link_send(link_fd, LINK_KILL, 0, 0), 0);
    expect_refused();
}

static void test_other_words_while_it_runs(void **state)
{
    (void)state;
    start_shell("trap '' TERM; echo up; while :; do sleep 60; done");
    hand_over();
    expect(LINK_STARTED, 0, 0);
    expect_output("up\n");
    assert_int_equal(link_send(link_fd, LINK_ORDER, 5, 0), 0);
    expect_refused();
}

/* ---------------------------------------------------------------- by whom it is started */

/* Anywhere but as process 1 "everybody" would be the host. */
static void test_not_started_by_the_monitor(void **state)
{
    (void)state;
    int status;
    memset(&pair, 0, sizeof pair);
    out = -1;
    pid_t pid = fork();
    if (pid == 0) {
        execl(LAUNCHED_PROGRAMS "/cloister-command", "cloister-command", "cmd-user", (char *)NULL);
        _exit(1);
    }
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), WORKER_EXIT_SANDBOX);
}

/* Nobody of the same account may look at it. */
static void test_helper_is_closed_to_its_account(void **state)
{
    (void)state;
    char path[64];
    struct stat status;
    start_shell("read x");
    snprintf(path, sizeof path, "/proc/%d/mem", pair.command.pid);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_uid, 0); /* proc(5): so it is when a process is not dumpable */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_whole_life, tear_down),
        cmocka_unit_test_teardown(test_killed_by_a_signal, tear_down),
        cmocka_unit_test_teardown(test_not_executed, tear_down),
        cmocka_unit_test_teardown(test_script_of_the_largest_size, tear_down),
        cmocka_unit_test_teardown(test_terminate_reaches_all, tear_down),
        cmocka_unit_test_teardown(test_kill_reaches_all, tear_down),
        cmocka_unit_test_teardown(test_orphans_are_reaped, tear_down),
        cmocka_unit_test_teardown(test_crash_starts_no_handler, tear_down),
        cmocka_unit_test_teardown(test_runner_goes_before_the_order, tear_down),
        cmocka_unit_test_teardown(test_runner_goes_within_the_order, tear_down),
        cmocka_unit_test_teardown(test_runner_goes_while_it_runs, tear_down),
        cmocka_unit_test_teardown(test_order_of_another_profile, tear_down),
        cmocka_unit_test_teardown(test_damaged_order, tear_down),
        cmocka_unit_test_teardown(test_order_that_is_too_long, tear_down),
        cmocka_unit_test_teardown(test_order_that_is_too_short, tear_down),
        cmocka_unit_test_teardown(test_other_words_than_an_order, tear_down),
        cmocka_unit_test_teardown(test_other_words_while_it_runs, tear_down),
        cmocka_unit_test_teardown(test_not_started_by_the_monitor, tear_down),
        cmocka_unit_test_teardown(test_helper_is_closed_to_its_account, tear_down),
    };
    if (geteuid() != 0)
        return 77; /* namespaces and accounts */
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

#include "whole_io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE    (1u << 20) /* many times a pipe's */
#define SIGNALS 3

static uint8_t bytes[SIZE], back[SIZE + 1];
static volatile sig_atomic_t signals;
static int go; /* written to when there were enough of them */

static void on_alarm(int signal)
{
    (void)signal;
    if (++signals == SIGNALS)
        (void)!write(go, "", 1);
}

/* Signals that interrupt calls, one a millisecond. */
static void interrupt(bool on)
{
    struct sigaction action = {.sa_handler = on ? on_alarm : SIG_IGN};
    struct itimerval timer = {.it_interval = {0, on ? 1000 : 0}, .it_value = {0, on ? 1000 : 0}};
    signals = 0;
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    return 0;
}

/* In a child, which begins when there is something on `wait`: reads it all, or writes it all. */
static pid_t peer(int wait, int fd, bool reads)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    char byte;
    bool right = read(wait, &byte, 1) == 1;
    if (reads)
        right = right && whole_read(fd, back, SIZE) == SIZE && memcmp(back, bytes, SIZE) == 0;
    else
        right = right && whole_write(fd, bytes, SIZE) == 0;
    _exit(right ? 0 : 1);
}

static void assert_good(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void through_a_pipe(bool writes)
{
    int data[2], begin[2];
    assert_int_equal(pipe2(data, O_CLOEXEC) | pipe2(begin, O_CLOEXEC), 0);
    go = begin[1];
    pid_t pid = peer(begin[0], data[writes ? 0 : 1], writes);
    close(data[writes ? 0 : 1]);
    interrupt(true);
    if (writes)
        assert_int_equal(whole_write(data[1], bytes, SIZE), 0);
    else
        assert_int_equal(whole_read(data[0], back, SIZE + 1), SIZE);
    assert_true(signals >= SIGNALS);
    interrupt(false);
    close(data[writes ? 1 : 0]);
    assert_good(pid);
    if (!writes)
        assert_memory_equal(back, bytes, SIZE);
    close(begin[0]);
    close(begin[1]);
}

static void writes_on_when_interrupted(void **state)
{
    (void)state;
    through_a_pipe(true);
}

static void reads_on_when_interrupted(void **state)
{
    (void)state;
    through_a_pipe(false);
}

static void reads_and_writes_at_a_place(void **state)
{
    (void)state;
    int fd = memfd_create("whole", MFD_CLOEXEC);
    assert_int_equal(whole_write_at(fd, "defg", 4, 3), 0);
    assert_int_equal(whole_write_at(fd, "abc", 3, 0), 0);
    assert_int_equal(whole_read_at(fd, back, 3, 2), 3);
    assert_memory_equal(back, "cde", 3);
    assert_int_equal(whole_read_at(fd, back, 9, 5), 2); /* up to the end */
    assert_memory_equal(back, "fg", 2);
    assert_int_equal(whole_read_at(fd, back, 9, 7), 0);
    assert_int_equal(whole_read(fd, back, 9), 7); /* the place was not moved */
    assert_memory_equal(back, "abcdefg", 7);
    assert_int_equal(whole_read(fd, back, 9), 0);
    close(fd);
}

static void says_what_failed(void **state)
{
    (void)state;
    int fd = open("/dev/full", O_RDWR | O_CLOEXEC);
    assert_int_equal(whole_write(fd, "x", 1), -ENOSPC);
    assert_int_equal(whole_write_at(fd, "x", 1, 0), -ENOSPC);
    assert_int_equal(whole_write(fd, "", 0), 0);
    close(fd);
    assert_int_equal(whole_read(-1, back, 1), -EBADF);
    assert_int_equal(whole_read_at(-1, back, 1, 0), -EBADF);
    assert_int_equal(whole_read(-1, back, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_on_when_interrupted),
        cmocka_unit_test(reads_on_when_interrupted),
        cmocka_unit_test(reads_and_writes_at_a_place),
        cmocka_unit_test(says_what_failed),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

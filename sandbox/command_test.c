/*
 * sandbox_command: what it closes stays closed, in children too, and what it cannot see for sure it
 * refuses. The filters of the policies are judged in tests/escape.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"

/* uname fails with EROFS, which no kernel says; all else is allowed. */
static const struct sock_filter no_uname[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_uname, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EROFS),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
static const struct sandbox_filter filter = {
    .kind = "test", .program = no_uname, .instructions = 4};

/* Runs `child` in a child process, which ends with its errno. */
static int in_child(int (*child)(void))
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(-child());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int ask_name(void)
{
    char room[512];
    return syscall(SYS_uname, room) != 0 ? -errno : 0;
}

static int close_and_ask(void)
{
    int result = sandbox_command(&filter);
    if (result != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return -EPROTO;
    /* In a child of its own it holds as well, and a second one adds to it. */
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(sandbox_command(&filter) != 0 ? EPROTO : -ask_name());
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != EROFS << 8)
        return -EPROTO;
    return ask_name();
}

static void the_filter_holds(void **state)
{
    (void)state;
    assert_int_equal(in_child(ask_name), 0);
    assert_int_equal(in_child(close_and_ask), EROFS);
}

static void *wait_forever(void *nothing)
{
    for (;;)
        pause();
    return nothing;
}

static int close_with_a_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait_forever, NULL) != 0)
        return -EPROTO;
    return sandbox_command(&filter);
}

static void a_second_thread_is_refused(void **state)
{
    (void)state;
    assert_int_equal(in_child(close_with_a_thread), EPERM);
}

static int close_with_nonsense(void)
{
    static const struct sandbox_filter empty = {.kind = "test", .program = no_uname};
    static const struct sandbox_filter endless = {
        .kind = "test", .program = no_uname, .instructions = 2};
    if (sandbox_command(&empty) != -EINVAL)
        return -EPROTO;
    return sandbox_command(&endless);
}

static void what_the_kernel_refuses_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(in_child(close_with_nonsense), EINVAL);
}

/* A kernel that says that it installed a filter and did not. */
static int close_while_seccomp_lies(void)
{
    static const struct sock_filter lie[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, (struct sock_filter *)(uintptr_t)lie};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        return -EPROTO;
    return sandbox_command(&filter);
}

/* ... or that says that privileges can no longer be gained. */
static int close_while_prctl_lies(void)
{
    static const struct sock_filter lie[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, (struct sock_filter *)(uintptr_t)lie};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        return -EPROTO;
    return sandbox_command(&filter);
}

static int close_without_proc(void)
{
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/proc", "tmpfs", 0, NULL) != 0)
        return -EPROTO;
    return sandbox_command(&filter);
}

static void what_cannot_be_seen_is_refused(void **state)
{
    (void)state;
    assert_int_equal(in_child(close_while_seccomp_lies), EPERM);
    if (getuid() != 0)
        skip(); /* without no_new_privs only root can install what lies, or mount */
    assert_int_equal(in_child(close_while_prctl_lies), EPERM);
    assert_int_equal(in_child(close_without_proc), ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_filter_holds),
        cmocka_unit_test(a_second_thread_is_refused),
        cmocka_unit_test(what_the_kernel_refuses_is_an_error),
        cmocka_unit_test(what_cannot_be_seen_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

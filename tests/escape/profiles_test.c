/*
 * What holds commands of the profiles "user" and "admin". They may do what that user or root may;
 * here is what they may not all the same, and that they can do the former.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "place.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Returns how many of `names` did not end as they must. */
static int try_all(const char *kind, const char *list, const char *const *names, size_t count,
                   bool succeed)
{
    int wrong = 0;
    for (size_t i = 0; i < count; i++) {
        const char *words[] = {"closed", list, names[i], place_word(), NULL};
        char log[4096];
        int code = place_run(kind, words, log);
        if (code < 300 && (code == 0) == succeed)
            continue;
        print_message("%s, %s: %s (%d) %s\n", kind, names[i], code == 0 ? "SUCCEEDED" : "failed",
                      code, log);
        wrong++;
    }
    return wrong;
}

/* What both are refused: other processes, new users, the kernel's wide doors. */
static const char *const refused_escapes[] = {
    "signal another process",
    "queue a signal",
    "signal by pidfd",
    "trace another process",
    "trace its child",
    "trace its helper",
    "read another process's memory",
    "take another process's descriptor",
    "see other processes",
    "unshare user",
    "unshare user and mount",
    "unshare user, high bits",
    "clone user",
    "clone3 user",
    "clone3",
    "setns",
    "setns by pidfd",
    "open_by_handle_at of the host's root",
    "undo no_new_privs",
    "TIOCSTI",
    "TIOCSTI, high bits",
    "read a file left open",
    "climb from a folder left open",
    "kill its helper",
    "read another process's environment",
};
static const char *const refused_attacks[] = {
    "keyctl",
    "add_key",
    "request_key",
    "bpf",
    "setns",
    "io_uring_setup",
    "perf_event_open",
    "userfaultfd",
    "ptrace PTRACE_TRACEME",
    "ptrace PTRACE_SEIZE",
    "process_vm_readv",
    "process_vm_writev",
    "pidfd_getfd",
    "clone3",
    "unshare CLONE_NEWUSER",
    "clone CLONE_NEWUSER",
    "personality READ_IMPLIES_EXEC",
#ifdef __x86_64__
    "x32 entry",
    "int 0x80 entry",
    "modify_ldt",
#endif
};

/* And the user, who gains nothing. */
static const char *const refused_user[] = {
    "read /etc/shadow",
    "run a setuid program",
    "have a capability",
    "setresuid 0",
    "setresuid 1",
    "setgroups shadow",
    "be in a group",
    "capset",
    "unshare mount",
    "unshare net",
    "clone pid",
    "mount the root elsewhere",
    "mount proc",
    "umount /proc",
    "remount writable",
    "chroot and climb",
    "fsopen and fsmount",
    "mknod the disk",
    "leave its control group",
    "make a control group",
    "write /etc/passwd",
    "write /proc/sys/kernel/hostname",
    "make a file in /etc",
    "raise a limit",
};
static const char *const possible_user[] = {
    "read another user's file", /* which is that user's own */
    "read a file of the host's /tmp", "connect TCP",          "connect X",
    "connect X's abstract socket",    "run a copied program", "run a program from a memfd",
    "write /proc/self/oom_score_adj",
};
static const char *const possible_admin[] = {
    "read another user's file", "read /etc/shadow",     "connect TCP",         "setresuid 1",
    "setgroups shadow",         "have a capability",    "make a file in /etc", "unshare mount",
    "write /etc/passwd",        "make a control group", "mknod the disk",
};

static void what_leads_elsewhere_is_refused(void **state)
{
    const char *kind = *state;
    assert_int_equal(try_all(kind, "escape", refused_escapes, COUNT(refused_escapes), false) +
                         try_all(kind, "attack", refused_attacks, COUNT(refused_attacks), false),
                     0);
}

static void a_user_gains_nothing(void **state)
{
    (void)state;
    assert_int_equal(try_all("cmd-user", "escape", refused_user, COUNT(refused_user), false), 0);
}

static void a_user_can_do_what_that_user_can(void **state)
{
    (void)state;
    static const char *const tasks[] = {"processes", "bash", "python", "files"};
    assert_int_equal(try_all("cmd-user", "escape", possible_user, COUNT(possible_user), true) +
                         try_all("cmd-user", "task", tasks, COUNT(tasks), true),
                     0);
}

/* Its mounts are its own: the host sees none of them. */
static void an_admin_is_root(void **state)
{
    (void)state;
    static const char *const tasks[] = {"processes", "bash", "mount"};
    assert_int_equal(try_all("cmd-admin", "escape", possible_admin, COUNT(possible_admin), true) +
                         try_all("cmd-admin", "task", tasks, COUNT(tasks), true),
                     0);
    assert_int_equal(access("/mnt/x", F_OK), -1);
}

static void assert_who(const char *kind, const char *expected)
{
    char log[4096];
    assert_int_equal(place_run(kind, (const char *[]){"closed", "task", "who", NULL}, log), 0);
    if (strstr(log, expected) == NULL)
        fail_msg("%s: %s", kind, log);
}

static void each_is_who_it_must_be(void **state)
{
    (void)state;
    assert_who("cmd-user", "uid=59999 gid=59999 groups=59999\n");
    assert_who("cmd-admin", "uid=0(root) gid=0(root) groups=0(root)\n");
    assert_who("cmd-user", "\n0022\n2 1\n"); /* umask, its process id and the helper's */
}

static uint32_t uid, gid;

static void be(struct launch_order *order)
{
    order->uid = uid;
    order->gid = gid;
}

static void other_identities_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *kind;
        uint32_t uid, gid;
        bool fits;
    } cases[] = {
        {"cmd-user", 0, 0, false},
        {"cmd-user", 0, 1000, false},
        {"cmd-user", 1000, 0, false},
        {"cmd-user", 999, 1000, false},
        {"cmd-user", 1000, 42, false},
        {"cmd-user", 65534, 65534, false},
        {"cmd-user", 61184, 61184, false},
        {"cmd-user", UINT32_MAX, 1000, false},
        {"cmd-user", 1000, UINT32_MAX, false},
        {"cmd-user", UINT32_MAX - 1, 1000, false},
        {"cmd-user", 1000, 1000, true},
        {"cmd-user", 60513, 100, true},
        {"cmd-user", 70000, 70000, true},
        {"cmd-admin", 1000, 1000, false},
        {"cmd-admin", 0, 1000, false},
        {"cmd-admin", 1000, 0, false},
        {"cmd-admin", UINT32_MAX, UINT32_MAX, false},
        {"cmd-diagnostic", 0, 0, false},
        {"cmd-diagnostic", UINT32_MAX, 64000, false},
        {"cmd-diagnostic", 64000, UINT32_MAX, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *words[] = {"closed", "task", "who", NULL};
        struct start start = place_start(cases[i].kind, words);
        struct outcome outcome;
        start.change = be;
        uid = cases[i].uid;
        gid = cases[i].gid;
        starter_run(&outcome, &start);
        bool refused =
            strcmp(outcome.failure.stage, "order") == 0 && outcome.failure.error == EPERM;
        if (refused == cases[i].fits || (cases[i].fits && outcome.wait_status != 0))
            fail_msg("%s, %u, %u: %s %s", cases[i].kind, uid, gid, outcome.failure.stage,
                     outcome.log);
    }
}

/* A program that others could change is not run, in the host's root either. */
static void make_program_relative(struct launch_order *order)
{
    order->uid = order->gid = PLACE_PERSON;
    memmove(order->paths[POLICY_BASE_PROGRAM], order->paths[POLICY_BASE_PROGRAM] + 1,
            sizeof(order->paths[0]) - 1);
}

static void make_program_anothers(struct launch_order *order)
{
    order->uid = order->gid = PLACE_PERSON;
    snprintf(order->paths[POLICY_BASE_PROGRAM], sizeof(order->paths[0]), "%s",
             place_target()->secret);
}

static void a_doubtful_program_is_not_run(void **state)
{
    (void)state;
    const char *words[] = {"closed", "task", "who", NULL};
    struct start start = place_start("cmd-user", words);
    struct outcome outcome;
    start.change = make_program_anothers;
    starter_run(&outcome, &start);
    assert_string_equal(outcome.failure.stage, "program");
    assert_int_equal(outcome.failure.error, EPERM);
    start.change = make_program_relative;
    starter_run(&outcome, &start);
    assert_string_equal(outcome.failure.stage, "program");
    assert_int_equal(outcome.failure.error, EINVAL);
}

int main(int argc, char **argv)
{
    static char user[] = "cmd-user";
    static char admin[] = "cmd-admin";
    (void)argv;
    if (argc > 1)
        return 0; /* the attack "execve itself" has succeeded */
    if (getuid() != 0)
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(what_leads_elsewhere_is_refused, user),
        cmocka_unit_test_prestate(what_leads_elsewhere_is_refused, admin),
        cmocka_unit_test(a_user_gains_nothing),
        cmocka_unit_test(a_user_can_do_what_that_user_can),
        cmocka_unit_test(an_admin_is_root),
        cmocka_unit_test(each_is_who_it_must_be),
        cmocka_unit_test(other_identities_are_refused),
        cmocka_unit_test(a_doubtful_program_is_not_run),
    };
    return cmocka_run_group_tests(tests, place_setup, place_teardown);
}

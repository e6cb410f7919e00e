/* Reads constructed trees, and this very process. */
#include <errno.h>
#include <linux/sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "proc.h"

#define LOCKED_BELOW_UID                                                                           \
    "PPid:\t40\nCapInh:\t0000000000000000\n"                                                       \
    "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"            \
    "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n"
#define OPEN                                                                                       \
    "Uid:\t900\t900\t0\t900\nPPid:\t40\nCapInh:\t0000000000000000\nCapPrm:\t0000000000004000\n"    \
    "CapEff:\t00000000a80425fb\nCapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\n"            \
    "NoNewPrivs:\t0\nSeccomp:\t0\n"

static char tree[64];

static void __attribute__((format(printf, 2, 3)))
write_file(const char *text, const char *format, ...)
{
    char path[256], name[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof(name), format, arguments);
    va_end(arguments);
    snprintf(path, sizeof(path), "%s/%s", tree, name);
    for (char *slash = path + strlen(tree) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void put_namespaces(const char *process, const char *own)
{
    static const char *const names[] = {"mnt", "pid", "net", "ipc", "uts", "cgroup", "user"};
    char path[256], target[64];
    snprintf(path, sizeof(path), "%s/%s", tree, process);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/%s/ns", tree, process);
    mkdir(path, 0700);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        bool apart = strstr(own, names[i]) != NULL;
        snprintf(path, sizeof(path), "%s/%s/ns/%s", tree, process, names[i]);
        snprintf(target, sizeof(target), "%s:[%d]", names[i], apart ? 77 : 11);
        assert_int_equal(symlink(target, path), 0);
    }
}

static void put_process(int pid, const char *status, const char *second_task, const char *own)
{
    char name[16];
    snprintf(name, sizeof(name), "%d", pid);
    write_file(status, "%d/status", pid);
    write_file(status, "%d/task/%d/status", pid, pid);
    write_file(second_task, "%d/task/%d/status", pid, pid + 1);
    put_namespaces(name, own);
}

static const char *locked(int uid)
{
    static char text[512];
    snprintf(text, sizeof(text), "Name:\tworker\nUid:\t%d\t%d\t%d\t%d\n%s", uid, uid, uid, uid,
             LOCKED_BELOW_UID);
    return text;
}

static int make_tree(void **state)
{
    (void)state;
    strcpy(tree, "/tmp/cloister-proc-XXXXXX");
    assert_non_null(mkdtemp(tree));
    put_namespaces("1", "");
    put_process(100, locked(900), locked(900), "mnt pid net ipc uts cgroup");
    put_process(200, OPEN, OPEN, "mnt");
    put_process(300, locked(900), OPEN, "mnt pid net ipc uts cgroup");
    write_file("Name:\tcut", "%d/status", 400);
    put_namespaces("40", ""); /* the parent of the others */
    put_namespaces("self", "");
    return 0;
}

static int remove_tree(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -r '%s'", tree);
    return system(command);
}

#define ALL_SIX                                                                                    \
    (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)
static const struct proc_expectation expected = {
    .uid = 900, .seccomp = 2, .no_new_privs = true, .own = ALL_SIX};

struct said {
    char text[1024];
};

static void remember(void *context, const char *sentence)
{
    struct said *said = context;
    strcat(strcat(said->text, sentence), "\n");
}

static void test_agrees(void **state)
{
    struct proc_view view;
    struct said said = {""};
    (void)state;
    assert_int_equal(proc_read(&view, tree, 100), 0);
    assert_int_equal(view.uid, 900);
    assert_int_equal(view.tasks, 2);
    assert_int_equal(view.seccomp_filters, 1);
    assert_int_equal(view.own, ALL_SIX);
    assert_int_equal(view.unreadable, 0);
    assert_int_equal(proc_compare(&view, &expected, remember, &said), 0);
    assert_string_equal(said.text, "");
}

static void test_disagrees(void **state)
{
    struct proc_view view;
    struct said said = {""};
    (void)state;
    assert_int_equal(proc_read(&view, tree, 200), 0);
    assert_int_equal(view.own, CLONE_NEWNS);
    assert_int_equal(view.seccomp_filters, 0);
    assert_int_equal(proc_compare(&view, &expected, remember, &said), 6);
    assert_non_null(strstr(said.text, "saved and file system uids differ"));
    assert_non_null(strstr(said.text, "CapEff is a80425fb, reported 0"));
    assert_non_null(strstr(said.text, "CapPrm 4000"));
    assert_non_null(strstr(said.text, "Seccomp is 0, reported 2"));
    assert_non_null(strstr(said.text, "NoNewPrivs is 0, reported 1"));
    assert_non_null(strstr(said.text, "pid net ipc uts cgroup"));
    said.text[0] = '\0';
    struct proc_expectation other = expected;
    other.uid = 901;
    assert_int_equal(proc_read(&view, tree, 100), 0);
    assert_int_equal(proc_compare(&view, &other, remember, &said), 1);
    assert_string_equal(said.text, "runs as uid 900, not 901\n");
}

/* One thread without the filter is enough, though the process's own line looks right. */
static void test_one_thread_unlike(void **state)
{
    struct proc_view view;
    struct said said = {""};
    (void)state;
    assert_int_equal(proc_read(&view, tree, 300), 0);
    assert_int_equal(view.seccomp, 2);
    assert_int_equal(view.tasks_unlike, 1);
    assert_int_equal(proc_compare(&view, &expected, remember, &said), 1);
    assert_string_equal(said.text, "1 of its 2 threads differ in Seccomp, NoNewPrivs or CapEff\n");
}

static void test_not_there(void **state)
{
    struct proc_view view;
    (void)state;
    assert_int_equal(proc_read(&view, tree, 500), -ENOENT);
    assert_int_equal(proc_read(&view, tree, 400), -EPROTO);
    assert_int_equal(proc_read(&view, "/proc", 0), -ENOENT);
}

static void test_pid_namespace(void **state)
{
    (void)state;
    assert_true(proc_parent_shares_pids(tree, 100));
    assert_false(proc_parent_shares_pids(tree, 500));
    assert_false(proc_parent_shares_pids(tree, 0));
    char path[256];
    snprintf(path, sizeof(path), "%s/40/ns/pid", tree);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("pid:[12]", path), 0);
    assert_false(proc_parent_shares_pids(tree, 100));
}

static void test_names(void **state)
{
    char names[64];
    (void)state;
    proc_namespace_names(names, ALL_SIX | CLONE_NEWUSER);
    assert_string_equal(names, "mnt pid net ipc uts cgroup user");
    proc_namespace_names(names, 0);
    assert_string_equal(names, "none");
}

/* Where pid 1's namespaces may not be read, the parent's stand for them; nothing readable is never
 * taken for "apart". */
static void test_other_reference(void **state)
{
    struct proc_view view;
    struct said said = {""};
    char path[256], aside[256];
    (void)state;
    snprintf(path, sizeof(path), "%s/1/ns", tree);
    snprintf(aside, sizeof(aside), "%s/1/aside", tree);
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(proc_read(&view, tree, 100), 0);
    assert_int_equal(view.reference, 40);
    assert_int_equal(view.own, ALL_SIX);
    assert_int_equal(rename(aside, path), 0);

    snprintf(path, sizeof(path), "%s/100/ns/net", tree);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(proc_read(&view, tree, 100), 0);
    assert_int_equal(view.reference, 1);
    assert_int_equal(view.unreadable, CLONE_NEWNET);
    assert_int_equal(proc_compare(&view, &expected, remember, &said), 1);
    assert_string_equal(said.text, "namespaces that cannot be compared: net\n");
    assert_int_equal(symlink("net:[77]", path), 0);
}

/* The kernel's own format, of the process whose facts are known: this one. */
static void test_real(void **state)
{
    struct proc_view view;
    (void)state;
    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(proc_read(&view, "/proc", getpid()), 0);
    assert_int_equal(view.uid, geteuid());
    assert_true(view.no_new_privs);
    assert_int_equal(view.tasks, 1);
    assert_int_equal(view.tasks_unlike, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees),
        cmocka_unit_test(test_disagrees),
        cmocka_unit_test(test_one_thread_unlike),
        cmocka_unit_test(test_not_there),
        cmocka_unit_test(test_other_reference),
        cmocka_unit_test(test_pid_namespace),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_real),
    };
    return cmocka_run_group_tests_name("proc", tests, make_tree, remove_tree);
}

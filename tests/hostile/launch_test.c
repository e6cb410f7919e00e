/*
 * cloister-launch's contract (sandbox/launch.h): what the worker gets, and with which stage each
 * thing that is wrong ends the launch.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "starter.h"

#define FOLDER HOSTILE_FOLDER "/launched"

static struct start usual(void)
{
    return (struct start){.policy = cloister_policies[0], .folder = FOLDER, .words = {"end"}};
}

static struct outcome run(const struct start *start)
{
    struct outcome outcome;
    starter_run(&outcome, start);
    return outcome;
}

static void assert_said(const struct outcome *outcome, const char *line)
{
    char text[256];
    snprintf(text, sizeof(text), "%s\n", line);
    if (outcome->failure.stage[0] != 0)
        fail_msg("%s: %s", outcome->failure.stage, strerror(outcome->failure.error));
    if (strstr(outcome->log, text) == NULL)
        fail_msg("not said: %s\n%s", line, outcome->log);
}

static void assert_stage(const struct start *start, const char *stage, int error)
{
    struct outcome outcome = run(start);
    if (strcmp(outcome.failure.stage, stage) != 0 || outcome.failure.error != error)
        fail_msg("%s: %s, and not %s: %s (%s)", outcome.failure.stage,
                 strerror(outcome.failure.error), stage, strerror(error), outcome.log);
    assert_true(WIFEXITED(outcome.wait_status));
    assert_int_equal(WEXITSTATUS(outcome.wait_status), 1);
    assert_string_equal(outcome.log, "");
}

static void the_worker_gets_what_the_policy_says(void **state)
{
    (void)state;
    struct start start = usual();
    struct outcome outcome = run(&start);
    char line[128];
    snprintf(line, sizeof(line), "uid: %u host: cloister nofile: 64 pid: 1", starter_uid(0, 0));
    assert_said(&outcome, line);
    assert_said(&outcome, "argv: cloister-launched, no more");
    assert_said(&outcome, "environment: empty");
    assert_said(&outcome, "folder: /");
    assert_said(&outcome, "first: first");
    assert_said(&outcome, "xauthority: 0 bytes \"\" seals 0xf");
    assert_said(&outcome, "last: open");
    assert_said(&outcome, "before /etc/passwd: opened");
    assert_said(&outcome, "before /etc/cloister-no-such-file: No such file or directory");
    assert_said(&outcome, "before /dev/zero: opened");
    assert_said(&outcome, "before /scratch/made: opened");
    assert_said(&outcome, "before /state/made: opened");
    assert_said(&outcome, "before mkdir /state/folder: Permission denied");
    assert_said(&outcome, "locked 32 MiB: yes");
    assert_said(&outcome, "locked");
    assert_int_equal(outcome.wait_status, 0);
}

static void only_what_stays_is_reachable_after_the_lock(void **state)
{
    (void)state;
    struct start start = usual();
    struct outcome outcome = run(&start);
    assert_said(&outcome, "after /etc/passwd: Permission denied");
    assert_said(&outcome, "after /dev/zero: Permission denied");
    assert_said(&outcome, "after /scratch/made: Permission denied");
    assert_said(&outcome, "after /state/made: opened");
    assert_said(&outcome, "after /made: Read-only file system");
}

static void another_instance_is_another_account(void **state)
{
    (void)state;
    struct start start = usual();
    start.instance = 1;
    struct outcome outcome = run(&start);
    char line[128];
    snprintf(line, sizeof(line), "uid: %u host: cloister nofile: 64 pid: 1", starter_uid(0, 1));
    assert_said(&outcome, line);
}

static void make_kind_unknown(struct launch_order *order)
{
    strcpy(order->kind, "unknown");
}

static void make_uid_root(struct launch_order *order)
{
    order->uid = 0;
}

static void make_gid_root(struct launch_order *order)
{
    order->gid = 0;
}

static void make_state_relative(struct launch_order *order)
{
    strcpy(order->paths[POLICY_BASE_STATE], "state");
}

static void leave_state_out(struct launch_order *order)
{
    order->paths[POLICY_BASE_STATE][0] = 0;
}

static void wrong_orders_are_refused(void **state)
{
    (void)state;
    static const struct {
        void (*change)(struct launch_order *order);
        size_t cut;
        const char *stage;
        int error;
    } wrong[] = {
        {NULL, 1, "order", EINVAL},
        {NULL, sizeof(struct launch_order) - 1, "order", EINVAL},
        {make_kind_unknown, 0, "order", ENOENT},
        {make_uid_root, 0, "order", EPERM},
        {make_gid_root, 0, "order", EPERM},
        {make_state_relative, 0, "mount", EINVAL},
        {leave_state_out, 0, "mount", EINVAL},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct start start = usual();
        start.change = wrong[i].change;
        start.cut = wrong[i].cut;
        assert_stage(&start, wrong[i].stage, wrong[i].error);
    }
}

static void host_namespaces_are_refused(void **state)
{
    (void)state;
    static const uint64_t flags[] = {CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWIPC,
                                     CLONE_NEWUTS};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct start start = usual();
        start.less = flags[i];
        assert_stage(&start, "namespaces", EPERM);
    }
}

static void close_first(void)
{
    close(LAUNCH_FD_FIRST);
}

static void close_last(void)
{
    close(LAUNCH_FD_FIRST + 2);
}

static void a_descriptor_may_be_missing_only_if_optional(void **state)
{
    (void)state;
    struct start start = usual();
    start.spoil = close_last;
    struct outcome outcome = run(&start);
    assert_said(&outcome, "last: closed");
    assert_said(&outcome, "locked");
    start.spoil = close_first;
    assert_stage(&start, "descriptors", EBADF);
}

static void a_dead_parent_ends_the_launch(void **state)
{
    (void)state;
    struct start start = usual();
    start.dead_parent = true;
    assert_stage(&start, "parent death", EOWNERDEAD);
}

/* A copy of launcher and program in a folder that the test may spoil. */
static void copy_programs(char *folder, size_t capacity)
{
    char command[1024];
    snprintf(folder, capacity, "%s/bin", starter_home());
    snprintf(command, sizeof(command),
             "rm -rf %s && mkdir -m 755 %s && cp %s/cloister-launch %s/cloister-launched %s",
             folder, folder, FOLDER, FOLDER, folder);
    assert_int_equal(system(command), 0);
}

static void programs_that_others_could_change_are_refused(void **state)
{
    (void)state;
    char folder[128];
    char program[192];
    struct start start = usual();
    copy_programs(folder, sizeof(folder));
    snprintf(program, sizeof(program), "%s/cloister-launched", folder);
    start.folder = folder;
    struct outcome outcome = run(&start);
    assert_said(&outcome, "locked");
    assert_int_equal(chmod(program, 0775), 0);
    assert_stage(&start, "program", EPERM);
    assert_int_equal(chmod(program, 0755), 0);
    assert_int_equal(chown(program, 1, 0), 0);
    assert_stage(&start, "program", EPERM);
    assert_int_equal(chown(program, 0, 0), 0);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_stage(&start, "program", EPERM);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(unlink(program), 0);
    assert_stage(&start, "program", ENOENT);
}

static void write_cookie(const char *path, size_t size, unsigned uid, mode_t mode)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(write(fd, &"cookie"[i % 6], 1), 1);
    assert_int_equal(fchown(fd, uid, uid), 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static unsigned cookie_user = 64999;
static const char *cookie_names[2]; /* below the test's folder, or absolute */

static void name_cookies(struct launch_order *order)
{
    order->cookie_uid = order->cookie_gid = cookie_user;
    for (int i = 0; i < 2 && cookie_names[i] != NULL; i++)
        snprintf(order->cookies[i], sizeof(order->cookies[i]), "%s%s%s",
                 cookie_names[i][0] == '/' ? "" : starter_home(),
                 cookie_names[i][0] == '/' ? "" : "/", cookie_names[i]);
}

static struct start with_cookies(unsigned user, const char *first, const char *second)
{
    struct start start = usual();
    cookie_user = user;
    cookie_names[0] = first;
    cookie_names[1] = second;
    start.change = name_cookies;
    return start;
}

static void the_cookie_is_read_as_its_user(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof(path), "%s/cookie", starter_home());
    write_cookie(path, 12, 64999, 0600);
    struct start start = with_cookies(64999, "cookie", NULL);
    struct outcome outcome = run(&start);
    assert_said(&outcome, "xauthority: 12 bytes \"cookiecookie\" seals 0xf");
    assert_said(&outcome, "locked");

    /* Root could read it; the user named cannot. */
    start = with_cookies(64998, "cookie", NULL);
    assert_stage(&start, "xauthority", EACCES);
    start = with_cookies(65534, "cookie", NULL);
    assert_stage(&start, "xauthority", EACCES);
    assert_int_equal(chmod(path, 0644), 0);
    outcome = run(&start);
    assert_said(&outcome, "locked");
}

static void the_first_cookie_that_exists_is_taken(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof(path), "%s/second", starter_home());
    write_cookie(path, 6, 64999, 0600);
    struct start start = with_cookies(64999, "no-such-cookie", "second");
    struct outcome outcome = run(&start);
    assert_said(&outcome, "xauthority: 6 bytes \"cookie\" seals 0xf");
    start = with_cookies(64999, "second/no-folder", "second");
    outcome = run(&start);
    assert_said(&outcome, "xauthority: 6 bytes \"cookie\" seals 0xf");
    start = with_cookies(64998, "second", "no-such-cookie"); /* it is there: no second try */
    assert_stage(&start, "xauthority", EACCES);
    start = with_cookies(64999, "no-such-cookie", "nor-this-one");
    outcome = run(&start);
    assert_said(&outcome, "xauthority: 0 bytes \"\" seals 0xf");
    assert_said(&outcome, "locked");
}

static void a_cookie_must_be_a_small_file(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof(path), "%s/big", starter_home());
    write_cookie(path, LAUNCH_XAUTHORITY_MAX + 1, 64999, 0600);
    struct start start = with_cookies(64999, "big", NULL);
    assert_stage(&start, "xauthority", EFBIG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0666), 0);
    assert_int_equal(chmod(path, 0666), 0);
    assert_stage(&start, "xauthority", EINVAL);
    start = with_cookies(64999, "/dev/zero", NULL);
    assert_stage(&start, "xauthority", EINVAL);
}

/* As in a container: the limit cannot be raised, so CAP_IPC_LOCK is left, and dropped by the lock.
 */
static void drop_sys_resource(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &head, data) != 0)
        abort();
    for (int i = 0; i < 2; i++)
        data[i].inheritable = 0;
    data[0].effective &= ~(1U << CAP_SYS_RESOURCE);
    data[0].permitted &= ~(1U << CAP_SYS_RESOURCE);
    if (prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE) != 0 || syscall(SYS_capset, &head, data) != 0)
        abort();
}

static void memory_is_locked_where_the_limit_cannot_be_raised(void **state)
{
    (void)state;
    struct start start = usual();
    start.spoil = drop_sys_resource;
    struct outcome outcome = run(&start);
    assert_said(&outcome, "locked 32 MiB: yes");
    assert_said(&outcome, "locked");
}

/* Makes `name` of the root appear below `below`. */
static void copy_entry(const char *below, const char *name)
{
    char target[512];
    char source[300];
    char link[256];
    struct stat status;
    snprintf(source, sizeof(source), "/%s", name);
    snprintf(target, sizeof(target), "%s/%s", below, name);
    ssize_t n = readlink(source, link, sizeof(link) - 1);
    if (n > 0) {
        link[n] = '\0';
        if (symlink(link, target) != 0)
            abort();
    } else if (stat(source, &status) == 0 && S_ISDIR(status.st_mode)) {
        if (mkdir(target, 0755) != 0 || mount(source, target, NULL, MS_BIND | MS_REC, NULL) != 0)
            abort();
    }
}

/* A root that is a folder and no mount point, as chroot(1) gives it. */
static void enter_plain_chroot(void)
{
    char root[128];
    char below[160];
    snprintf(root, sizeof(root), "%s/chroot", starter_home());
    snprintf(below, sizeof(below), "%s/below", root);
    mkdir(root, 0755);
    if (mount("tmpfs", root, "tmpfs", 0, "mode=0755") != 0 || mkdir(below, 0755) != 0)
        abort();
    DIR *list = opendir("/");
    const struct dirent *entry;
    while (list != NULL && (entry = readdir(list)) != NULL)
        if (entry->d_name[0] != '.')
            copy_entry(below, entry->d_name);
    if (list == NULL || closedir(list) != 0 || chroot(below) != 0 || chdir("/") != 0)
        abort();
}

static void it_works_in_a_root_that_is_no_mount_point(void **state)
{
    (void)state;
    struct start start = usual();
    start.spoil = enter_plain_chroot;
    struct outcome outcome = run(&start);
    assert_said(&outcome, "locked");
    assert_said(&outcome, "after /etc/passwd: Permission denied");
}

static int setup(void **state)
{
    (void)state;
    starter_setup();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    starter_teardown();
    return 0;
}

int main(void)
{
    if (getuid() != 0)
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worker_gets_what_the_policy_says),
        cmocka_unit_test(only_what_stays_is_reachable_after_the_lock),
        cmocka_unit_test(another_instance_is_another_account),
        cmocka_unit_test(wrong_orders_are_refused),
        cmocka_unit_test(host_namespaces_are_refused),
        cmocka_unit_test(a_descriptor_may_be_missing_only_if_optional),
        cmocka_unit_test(a_dead_parent_ends_the_launch),
        cmocka_unit_test(programs_that_others_could_change_are_refused),
        cmocka_unit_test(the_cookie_is_read_as_its_user),
        cmocka_unit_test(the_first_cookie_that_exists_is_taken),
        cmocka_unit_test(a_cookie_must_be_a_small_file),
        cmocka_unit_test(memory_is_locked_where_the_limit_cannot_be_raised),
        cmocka_unit_test(it_works_in_a_root_that_is_no_mount_point),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

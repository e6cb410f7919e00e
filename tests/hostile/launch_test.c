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
    return (struct start){
        .policy = cloister_policies[0], .folder = FOLDER, .arguments = {"one", "two words"}};
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
    if (outcome->failure.stage != 0)
        fail_msg("%s: %s", launch_stage_name(outcome->failure.stage),
                 strerror(outcome->failure.error));
    if (strstr(outcome->log, text) == NULL)
        fail_msg("not said: %s\n%s", line, outcome->log);
}

static void assert_stage(const struct start *start, enum launch_stage stage, int error)
{
    struct outcome outcome = run(start);
    if (outcome.failure.stage != stage || outcome.failure.error != error)
        fail_msg("%s: %s, and not %s: %s (%s)", launch_stage_name(outcome.failure.stage),
                 strerror(outcome.failure.error), launch_stage_name(stage), strerror(error),
                 outcome.log);
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
    snprintf(line, sizeof(line), "uid: %u host: cloister nofile: 64 pid: 1", starter_uid(0));
    assert_said(&outcome, line);
    assert_said(&outcome, "argv[1]: one");
    assert_said(&outcome, "argv[2]: two words");
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
    start.options[0] = "--instance";
    start.options[1] = "1";
    struct outcome outcome = run(&start);
    char line[128];
    snprintf(line, sizeof(line), "uid: %u host: cloister nofile: 64 pid: 1", starter_uid(100));
    assert_said(&outcome, line);
    start.options[1] = "2";
    assert_stage(&start, LAUNCH_ARGUMENTS, EINVAL);
}

static void wrong_words_are_refused(void **state)
{
    (void)state;
    static const char *const words[][2] = {
        {"--unknown", "x"},    {"--set", "home=/root"}, {"--set", "state=relative"},
        {"--argument", NULL},  {"--set", "channel"},    {"--instance", "x"},
        {"--instance", "0x1"},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct start start = usual();
        memset(start.arguments, 0, sizeof(start.arguments));
        start.options[0] = words[i][0];
        start.options[1] = words[i][1];
        assert_stage(&start, LAUNCH_ARGUMENTS, EINVAL);
    }
    struct policy unknown = *cloister_policies[0];
    unknown.kind = "unknown";
    struct start start = usual();
    start.policy = &unknown;
    assert_stage(&start, LAUNCH_ARGUMENTS, ENOENT);
}

static void host_namespaces_are_refused(void **state)
{
    (void)state;
    static const uint64_t flags[] = {CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWIPC,
                                     CLONE_NEWUTS};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct start start = usual();
        start.less = flags[i];
        assert_stage(&start, LAUNCH_NAMESPACES, EPERM);
    }
}

static void remove_accounts(void)
{
    if (mount("/dev/null", "/etc/passwd", NULL, MS_BIND, NULL) != 0)
        abort();
}

static void make_account_root(void)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/passwd.root", starter_home());
    FILE *file = fopen(path, "we");
    if (file == NULL || fputs("cloister-launched:x:0:0::/:/bin/sh\n", file) < 0 ||
        fclose(file) != 0 || mount(path, "/etc/passwd", NULL, MS_BIND, NULL) != 0)
        abort();
}

static void accounts_must_exist_and_not_be_root(void **state)
{
    (void)state;
    struct start start = usual();
    start.spoil = remove_accounts;
    assert_stage(&start, LAUNCH_ACCOUNT, ENOENT);
    start.spoil = make_account_root;
    assert_stage(&start, LAUNCH_ACCOUNT, EPERM);
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
    assert_stage(&start, LAUNCH_DESCRIPTORS, EBADF);
}

static void a_dead_parent_ends_the_launch(void **state)
{
    (void)state;
    struct start start = usual();
    start.dead_parent = true;
    assert_stage(&start, LAUNCH_PARENT_DEATH, EOWNERDEAD);
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
    assert_stage(&start, LAUNCH_PROGRAM, EPERM);
    assert_int_equal(chmod(program, 0755), 0);
    assert_int_equal(chown(program, 1, 0), 0);
    assert_stage(&start, LAUNCH_PROGRAM, EPERM);
    assert_int_equal(chown(program, 0, 0), 0);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_stage(&start, LAUNCH_PROGRAM, EPERM);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(unlink(program), 0);
    assert_stage(&start, LAUNCH_PROGRAM, ENOENT);
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

static void the_cookie_is_read_as_its_user(void **state)
{
    (void)state;
    char path[128];
    char argument[192];
    struct start start = usual();
    snprintf(path, sizeof(path), "%s/cookie", starter_home());
    start.options[0] = "--xauthority";
    start.options[1] = argument;

    write_cookie(path, 12, 64999, 0600);
    snprintf(argument, sizeof(argument), "64999.64999:%s", path);
    struct outcome outcome = run(&start);
    assert_said(&outcome, "xauthority: 12 bytes \"cookiecookie\" seals 0xf");
    assert_said(&outcome, "locked");

    /* Root could read it; the user named cannot. */
    snprintf(argument, sizeof(argument), "64998.64998:%s", path);
    assert_stage(&start, LAUNCH_XAUTHORITY, EACCES);
    snprintf(argument, sizeof(argument), "65534.65534:%s", path);
    assert_stage(&start, LAUNCH_XAUTHORITY, EACCES);
    assert_int_equal(chmod(path, 0644), 0);
    outcome = run(&start);
    assert_said(&outcome, "locked");
    snprintf(argument, sizeof(argument), "nobody:%s", path);
    assert_stage(&start, LAUNCH_XAUTHORITY, EINVAL);
    snprintf(argument, sizeof(argument), "65534.65534:cookie");
    assert_stage(&start, LAUNCH_XAUTHORITY, EINVAL);
}

static void a_cookie_must_be_a_small_file(void **state)
{
    (void)state;
    char path[128];
    char argument[192];
    struct start start = usual();
    snprintf(path, sizeof(path), "%s/big", starter_home());
    snprintf(argument, sizeof(argument), "64999.64999:%s", path);
    start.options[0] = "--xauthority";
    start.options[1] = argument;
    write_cookie(path, LAUNCH_XAUTHORITY_MAX + 1, 64999, 0600);
    assert_stage(&start, LAUNCH_XAUTHORITY, EFBIG);
    assert_int_equal(unlink(path), 0);
    assert_stage(&start, LAUNCH_XAUTHORITY, ENOENT);
    assert_int_equal(mkfifo(path, 0666), 0);
    assert_int_equal(chmod(path, 0666), 0);
    assert_stage(&start, LAUNCH_XAUTHORITY, EINVAL);
    snprintf(argument, sizeof(argument), "64999.64999:/dev/zero");
    assert_stage(&start, LAUNCH_XAUTHORITY, EINVAL);
}

/* A leaf of a real hierarchy, v2 or v1, as this host has it. */
static int make_leaf(char *leaf, size_t capacity, const char *root)
{
    snprintf(leaf, capacity, "%s/cloister-launch-test", root);
    rmdir(leaf);
    return mkdir(leaf, 0755);
}

static void assert_joins(const char *leaf)
{
    char file[192];
    char path[64];
    char text[4096];
    struct start start = usual();
    struct started started;
    snprintf(file, sizeof(file), "%s/cgroup.procs", leaf);
    start.arguments[0] = "wait";
    start.options[0] = "--cgroup";
    start.options[1] = file;
    starter_start(&started, &start);
    starter_read_until(&started, "\nlocked\n", text, sizeof(text));
    snprintf(path, sizeof(path), "/proc/%d/cgroup", started.pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = '\0';
    close(fd);
    assert_non_null(strstr(text, "/cloister-launch-test"));
    close(started.life);
    started.life = -1;
    struct outcome outcome;
    starter_finish(&started, &outcome);
    for (int tries = 0; tries < 500 && rmdir(leaf) != 0; tries++)
        usleep(10000);
}

static void it_joins_cgroups_of_both_versions(void **state)
{
    (void)state;
    static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified",
                                        "/sys/fs/cgroup/pids"};
    int joined = 0;
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        char leaf[128];
        char file[192];
        if (make_leaf(leaf, sizeof(leaf), roots[i]) != 0)
            continue;
        snprintf(file, sizeof(file), "%s/cgroup.procs", leaf);
        if (access(file, F_OK) == 0) {
            assert_joins(leaf);
            joined++;
        }
        rmdir(leaf);
    }
    print_message("joined %d hierarchies\n", joined);
    if (joined == 0)
        skip();
}

static void a_cgroup_that_is_not_there_ends_the_launch(void **state)
{
    (void)state;
    struct start start = usual();
    start.options[0] = "--cgroup";
    start.options[1] = "/sys/fs/cgroup/cloister-no-such-leaf/cgroup.procs";
    assert_stage(&start, LAUNCH_CGROUP, ENOENT);
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
        cmocka_unit_test(wrong_words_are_refused),
        cmocka_unit_test(host_namespaces_are_refused),
        cmocka_unit_test(accounts_must_exist_and_not_be_root),
        cmocka_unit_test(a_descriptor_may_be_missing_only_if_optional),
        cmocka_unit_test(a_dead_parent_ends_the_launch),
        cmocka_unit_test(programs_that_others_could_change_are_refused),
        cmocka_unit_test(the_cookie_is_read_as_its_user),
        cmocka_unit_test(a_cookie_must_be_a_small_file),
        cmocka_unit_test(it_joins_cgroups_of_both_versions),
        cmocka_unit_test(a_cgroup_that_is_not_there_ends_the_launch),
        cmocka_unit_test(memory_is_locked_where_the_limit_cannot_be_raised),
        cmocka_unit_test(it_works_in_a_root_that_is_no_mount_point),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

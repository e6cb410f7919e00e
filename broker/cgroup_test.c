#pragma GCC diagnostic ignored "-Wformat-truncation"
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "cgroup.h"

static char root[64];
static struct cgroup group;
static const struct cgroup_limits limits = {.memory_bytes = 64 << 20, .pids = 9, .cpu_percent = 20};

__attribute__((format(printf, 1, 2))) static void shell(const char *format, ...)
{
    char command[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    if (chdir(root) != 0 || system(command) != 0) {
        fail_msg("%s", command);
    }
}

static void slurp(char *out, size_t capacity, const char *path)
{
    int fd = open(path, O_RDONLY);
    ssize_t got = fd < 0 ? -1 : read(fd, out, capacity - 1);
    if (got < 0) {
        fail_msg("%s: %s", path, strerror(errno));
    }
    out[got] = 0;
    close(fd);
}

static void has(const char *path, const char *expected)
{
    char text[256];
    slurp(text, sizeof text, path);
    text[strcspn(text, "\n")] = 0;
    if (strcmp(text, expected) != 0) {
        fail_msg("%s has %s instead of %s", path, text, expected);
    }
}

static int set_up(void **state)
{
    (void)state;
    strcpy(root, "/tmp/cloister-cgroup.XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    shell("cd / && rm -rf %s", root);
    return 0;
}

static void test_finds_v1(void **state)
{
    (void)state;
    cgroup_find(&group,
                "1 0 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
                "2 1 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup "
                "rw,cpu,cpuacct\n"
                "3 1 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
                "4 1 0:31 /docker/7 /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                "5 1 0:32 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
                "6 1 0:33 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n",
                "9:name=systemd:/x\n4:memory:/docker/7/a\n3:pids:/\n2:cpu,cpuacct:/u/b\n0::/\n");
    assert_int_equal(group.count, 3);
    assert_string_equal(group.trees[0].mount, "/sys/fs/cgroup/cpu,cpuacct");
    assert_int_equal(group.trees[0].controllers, CGROUP_CPU);
    assert_string_equal(group.trees[0].own, "/u/b");
    assert_int_equal(group.trees[1].controllers, CGROUP_MEMORY);
    assert_string_equal(group.trees[1].own, "/a");
    assert_int_equal(group.trees[2].controllers, CGROUP_PIDS);
    assert_string_equal(group.trees[2].own, "");
}

/* A group that the mount does not show is never guessed at. */
static void test_own_group_outside_of_the_mount(void **state)
{
    static const char mount[] =
        "4 1 0:31 /docker /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
    static const char *const own[] = {"4:memory:/dockerfoo\n", "4:memory:/docker/../x\n",
                                      "4:memory:/../x\n",      "4:memory:/other\n",
                                      "4:memory:/docker\n",    "4:memory:/\n"};
    (void)state;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        cgroup_find(&group, mount, own[i]);
        assert_int_equal(group.count, 1);
        assert_string_equal(group.trees[0].own, "");
    }
}

static void find_v2(const char *own)
{
    char mountinfo[256], self[128];
    snprintf(mountinfo, sizeof mountinfo, "7 1 0:30 / %s rw - cgroup2 cgroup2 rw\n", root);
    snprintf(self, sizeof self, "0::%s\n", own);
    cgroup_find(&group, mountinfo, self);
}

static void test_v2_in_a_group_of_its_own(void **state)
{
    char leaf[128];
    (void)state;
    shell("echo cpuset cpu io memory pids > cgroup.controllers;"
          "mkdir -p s/c.service/monitor s/c.service/w; echo 4711 > s/c.service/cgroup.procs;"
          "touch s/c.service/monitor/cgroup.procs s/c.service/cgroup.subtree_control;"
          "cd s/c.service/w && touch memory.max memory.swap.max pids.max cpu.max cgroup.kill");
    find_v2("/s/c.service");
    assert_int_equal(group.count, 1);
    assert_int_equal(group.trees[0].controllers, 7);
    /* a real file accumulates nothing: each word is written over the one before */
    shell("echo memory pids cpu > s/c.service/cgroup.subtree_control");
    cgroup_open(&group, 4711, 1);
    shell("grep -qx 4711 s/c.service/monitor/cgroup.procs");
    snprintf(leaf, sizeof leaf, "%s/s/c.service", root);
    assert_string_equal(group.trees[0].base, leaf);
    group.trees[0].controllers = 7;
    group.count = 1;
    assert_int_equal(cgroup_leaf(&group, "w", &limits), 0);
    snprintf(leaf, sizeof leaf, "%s/s/c.service/w/memory.max", root);
    has(leaf, "67108864");
    snprintf(leaf, sizeof leaf, "%s/s/c.service/w/memory.swap.max", root);
    has(leaf, "0");
    snprintf(leaf, sizeof leaf, "%s/s/c.service/w/pids.max", root);
    has(leaf, "9");
    snprintf(leaf, sizeof leaf, "%s/s/c.service/w/cpu.max", root);
    has(leaf, "20000 100000");
    assert_int_equal(cgroup_join(&group, "w"), 0); /* nothing to do: it is born there */
    struct stat born, there;
    int fd;
    assert_int_equal(cgroup_birthplace(&fd, &group, "absent"), -ENOENT);
    assert_int_equal(cgroup_birthplace(&fd, &group, "w"), 0);
    snprintf(leaf, sizeof leaf, "%s/s/c.service/w", root);
    assert_int_equal(fstat(fd, &born), 0);
    assert_int_equal(stat(leaf, &there), 0);
    assert_true(born.st_ino == there.st_ino && born.st_dev == there.st_dev);
    close(fd);
    assert_int_equal(cgroup_remove(&group, "w"), -EBUSY); /* its files are real ones here */
    snprintf(leaf, sizeof leaf, "%s/s/c.service/w/cgroup.kill", root);
    has(leaf, "1");
}

static void test_v2_not_alone(void **state)
{
    char base[128];
    (void)state;
    shell("echo memory > cgroup.controllers; mkdir -p s/x cloister-4712-ab; printf '1\\n4712\\n' > "
          "s/x/cgroup.procs; echo memory > cloister-4712-ab/cgroup.subtree_control");
    find_v2("/s/x");
    cgroup_open(&group, 4712, 0xab);
    snprintf(base, sizeof base, "%s/cloister-4712-ab", root);
    assert_string_equal(group.trees[0].base, base);
}

static void test_a_limit_without_a_controller(void **state)
{
    (void)state;
    cgroup_find(&group, "1 0 0:28 / / rw - ext4 /dev/vda rw\n", "0::/\n");
    assert_int_equal(group.count, 0);
    cgroup_open(&group, 1, 1);
    assert_int_equal(cgroup_leaf(&group, "w", &limits), -ENOTSUP);
    assert_int_equal(cgroup_leaf(&group, "w", &(struct cgroup_limits){0}), 0);
    cgroup_find(&group, "nonsense", "nonsense");
    assert_int_equal(group.count, 0);
    cgroup_find(&group, "1 2 3 4 - cgroup\n", ":::\n");
    assert_int_equal(group.count, 0);
}

/* The host's own hierarchies, whatever they are. */
static int open_real(void)
{
    static char mountinfo[65536], self[4096];
    slurp(mountinfo, sizeof mountinfo, "/proc/self/mountinfo");
    slurp(self, sizeof self, "/proc/self/cgroup");
    cgroup_find(&group, mountinfo, self);
    cgroup_open(&group, getpid(), 1);
    uint32_t found = 0;
    for (uint32_t i = 0; i < group.count; i++) {
        found |= group.trees[i].controllers;
    }
    return found == (CGROUP_MEMORY | CGROUP_PIDS | CGROUP_CPU);
}

/* Starts a process as the monitor does, in the leaf of every tree; and ends it and them. */
static void hold_a_process(const struct cgroup_limits *of)
{
    char path[512], line[32];
    int status, joined[2], leaf;
    assert_int_equal(cgroup_leaf(&group, "w0-1", of), 0);
    assert_int_equal(pipe(joined), 0);
    assert_int_equal(cgroup_birthplace(&leaf, &group, "w0-1"), 0);
    struct clone_args arguments = {.flags = leaf < 0 ? 0 : CLONE_INTO_CGROUP,
                                   .cgroup = (uint64_t)leaf,
                                   .exit_signal = SIGCHLD};
    pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    assert_true(child >= 0);
    if (child == 0) {
        char result = (char)-cgroup_join(&group, "w0-1");
        (void)!write(joined[1], &result, 1);
        for (;;) {
            pause();
        }
    }
    assert_int_equal(read(joined[0], line, 1), 1);
    assert_int_equal(line[0], 0);
    close(joined[0]);
    close(joined[1]);
    if (leaf >= 0)
        close(leaf);
    for (uint32_t i = 0; i < group.count; i++) {
        snprintf(path, sizeof path, "%s/w0-1/cgroup.procs", group.trees[i].base);
        snprintf(line, sizeof line, "%d", child);
        has(path, line);
    }
    (void)cgroup_remove(&group, "w0-1"); /* kills it */
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(cgroup_remove(&group, "w0-1"), 0);
    assert_int_equal(cgroup_close(&group), 0);
    for (uint32_t i = 0; i < group.count; i++) {
        assert_int_equal(access(group.trees[i].base, F_OK), -1);
    }
}

static void test_real_leaf_holds_a_process(void **state)
{
    (void)state;
    if (geteuid() != 0 || !open_real()) {
        cgroup_close(&group);
        skip();
    }
    hold_a_process(&limits);
}

/* Where the host has v2 beside v1, without controllers: what is born there is there. */
static void test_real_birth_in_v2(void **state)
{
    (void)state;
    group = (struct cgroup){.count = 1, .trees = {{.version = 2}}};
    if (geteuid() != 0 || access("/sys/fs/cgroup/unified/cgroup.procs", W_OK) != 0)
        skip();
    snprintf(group.trees[0].base, sizeof group.trees[0].base,
             "/sys/fs/cgroup/unified/cloister-%d-test", getpid());
    assert_int_equal(mkdir(group.trees[0].base, 0755), 0);
    hold_a_process(&(struct cgroup_limits){0});
}

static void test_real_sweep_after_a_killed_monitor(void **state)
{
    char left[448];
    int status;
    (void)state;
    if (geteuid() != 0 || !open_real()) {
        cgroup_close(&group);
        skip();
    }
    pid_t dead = fork();
    if (dead == 0) {
        _exit(0);
    }
    assert_int_equal(waitpid(dead, &status, 0), dead);
    struct cgroup mine = group;
    (void)open_real();
    cgroup_close(&group);
    snprintf(left, sizeof left, "%s%s/cloister-%d-1f", mine.trees[0].mount,
             mine.trees[0].version == 1 ? mine.trees[0].own : "", dead);
    assert_int_equal(mkdir(left, 0755), 0);
    int lock = open(left, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(lock, LOCK_SH), 0);
    strcat(left, "/w1-1");
    assert_int_equal(mkdir(left, 0755), 0);
    (void)open_real(); /* its monitor lives, where its pid is another one */
    cgroup_close(&group);
    assert_int_equal(access(left, F_OK), 0);
    close(lock);
    (void)open_real();
    assert_int_equal(access(left, F_OK), -1);
    cgroup_close(&group);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_finds_v1),
        T(test_own_group_outside_of_the_mount),
        T(test_v2_in_a_group_of_its_own),
        T(test_v2_not_alone),
        T(test_a_limit_without_a_controller),
        T(test_real_leaf_holds_a_process),
        T(test_real_birth_in_v2),
        T(test_real_sweep_after_a_killed_monitor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Commands that misuse what they are given, in a control group with the policy's limits as the
 * monitor makes it: each comes to its end, and nothing of it is left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "place.h"

#define KIND    "cmd-diagnostic"
#define LEAF    "command"
#define WAIT_MS 10000

static struct cgroup group;

static void slurp(char *out, size_t capacity, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n;
    size_t used = 0;
    while ((n = read(fd, out + used, capacity - 1 - used)) > 0)
        used += (size_t)n;
    out[used] = '\0';
    close(fd);
}

/* A number of the leaf's: `controller` has a file of that name in version 2 and in version 1. */
static unsigned long long leaf_value(unsigned controller, const char *v2, const char *v1)
{
    for (uint32_t i = 0; i < group.count; i++) {
        char path[600];
        char text[64];
        const struct cgroup_tree *tree = &group.trees[i];
        if ((tree->controllers & controller) == 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s/%s", tree->base, LEAF, tree->version == 2 ? v2 : v1);
        slurp(text, sizeof(text), path);
        return strtoull(text, NULL, 10);
    }
    fail_msg("no such controller");
    return 0;
}

static void join(void)
{
    if (cgroup_join(&group, LEAF) != 0)
        abort();
}

static void start(struct started *out, const char *task)
{
    const char *words[] = {"closed", "task", task, NULL};
    struct start start = place_start(KIND, words);
    const struct policy *policy = start.policy;
    struct cgroup_limits limits = {policy->memory_max, policy->pids_max, policy->cpu_percent};
    assert_int_equal(cgroup_leaf(&group, LEAF, &limits), 0);
    start.spoil = join;
    starter_start(out, &start);
}

/* Nothing is in the leaf, without anybody having been killed to that end. */
static bool is_empty(void)
{
    for (uint32_t i = 0; i < group.count; i++) {
        char path[600];
        char text[64];
        snprintf(path, sizeof(path), "%s/%s/cgroup.procs", group.trees[i].base, LEAF);
        slurp(text, sizeof(text), path);
        if (text[0] != '\0')
            return false;
    }
    return true;
}

static void assert_gone(void)
{
    for (int i = 0; i < WAIT_MS / 10 && !is_empty(); i++)
        poll(NULL, 0, 10);
    assert_true(is_empty());
    int result = -EBUSY;
    for (int i = 0; i < WAIT_MS / 10 && result == -EBUSY; i++) {
        result = cgroup_remove(&group, LEAF);
        if (result == -EBUSY)
            poll(NULL, 0, 10);
    }
    assert_int_equal(result, 0);
}

static int finish(struct started *started, struct outcome *outcome)
{
    starter_finish(started, outcome);
    if (outcome->failure.stage[0] != '\0')
        fail_msg("%s: %s", outcome->failure.stage, strerror(outcome->failure.error));
    int status = outcome->wait_status;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 300 + WTERMSIG(status);
}

static unsigned processes(void)
{
    return (unsigned)leaf_value(CGROUP_PIDS, "pids.current", "pids.current");
}

static void a_fork_bomb_ends_with_its_helper(void **state)
{
    (void)state;
    struct started started;
    struct outcome outcome;
    char text[64];
    start(&started, "fork bomb");
    starter_read_until(&started, "bomb", text, sizeof(text));
    unsigned most = place_start(KIND, (const char *[]){NULL}).policy->pids_max;
    unsigned seen = 0;
    for (int i = 0; i < WAIT_MS / 10 && seen < most; i++) {
        unsigned now = processes();
        seen = now > seen ? now : seen;
        poll(NULL, 0, 10);
    }
    assert_int_equal(seen, most); /* all that it may, and no more */
    assert_int_equal(kill(started.pid, SIGKILL), 0);
    assert_int_equal(finish(&started, &outcome), 300 + SIGKILL);
    assert_gone();
}

/* The kernel ends the largest, or the helper with it. */
static void assert_out_of_memory(const char *task)
{
    struct started started;
    struct outcome outcome;
    start(&started, task);
    int code = finish(&started, &outcome);
    if (code == 210)
        assert_non_null(strstr(outcome.log, "signal 9\n"));
    else
        assert_int_equal(code, 300 + SIGKILL);
    unsigned long long most = place_start(KIND, (const char *[]){NULL}).policy->memory_max;
    assert_in_range(leaf_value(CGROUP_MEMORY, "memory.peak", "memory.max_usage_in_bytes"), 1, most);
    assert_gone();
}

static void memory_ends_at_its_limit(void **state)
{
    (void)state;
    assert_out_of_memory("eat memory");
}

/* Its /tmp ends first, or the limit of one file. */
static void files_end_at_their_limit(void **state)
{
    (void)state;
    struct started started;
    struct outcome outcome;
    start(&started, "fill files");
    int code = finish(&started, &outcome);
    if (code != ENOSPC && code != 210)
        fail_msg("%d %s", code, outcome.log);
    assert_gone();
}

/* What ignores every signal is ended with its helper, whose life pipe has closed or that is killed.
 */
static void who_ignores_signals_is_ended(void **state)
{
    (void)state;
    struct started started;
    struct outcome outcome;
    char text[64];
    start(&started, "ignore signals");
    starter_read_until(&started, "ignoring", text, sizeof(text));
    assert_int_equal(processes(), 2);
    assert_int_equal(kill(started.pid, SIGKILL), 0);
    assert_int_equal(finish(&started, &outcome), 300 + SIGKILL);
    assert_gone();
}

static void assert_leaves_nothing(const char *task)
{
    struct started started;
    struct outcome outcome;
    start(&started, task);
    int code = finish(&started, &outcome);
    if (code != 0)
        fail_msg("%d %s", code, outcome.log);
    assert_gone();
}

static void a_daemon_ends_with_its_command(void **state)
{
    (void)state;
    assert_leaves_nothing("daemonize");
}

static void a_stopped_child_ends_with_its_command(void **state)
{
    (void)state;
    assert_leaves_nothing("stop child");
}

static int setup(void **state)
{
    (void)state;
    static char mounts[65536];
    char self[4096];
    slurp(mounts, sizeof(mounts), "/proc/self/mountinfo");
    slurp(self, sizeof(self), "/proc/self/cgroup");
    cgroup_find(&group, mounts, self);
    cgroup_open(&group, getpid(), 0xe5cULL);
    place_make();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    place_free();
    return cgroup_close(&group);
}

int main(void)
{
    if (getuid() != 0)
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fork_bomb_ends_with_its_helper),
        cmocka_unit_test(memory_ends_at_its_limit),
        cmocka_unit_test(files_end_at_their_limit),
        cmocka_unit_test(who_ignores_signals_is_ended),
        cmocka_unit_test(a_daemon_ends_with_its_command),
        cmocka_unit_test(a_stopped_child_ends_with_its_command),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

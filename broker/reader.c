/* The part of the reader that still runs as root: fork, give up everything, wait. */
#include "reader.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reader_child.h"

/* A user that no software runs as: one that others run as too (65534) could signal the child, and
 * so stop the monitor that waits for it. The range is reserved for nothing (systemd, UIDS-GIDS). */
#define READER_UID 2147483600U

/* In the child: nothing of root's but the descriptors of the task. */
static int shed(struct reader_task *task)
{
    int *const fds[] = {&task->config, &task->sysfs, &task->board};
    for (int i = 0; i < 3; i++)
        if (*fds[i] >= 0 && (*fds[i] = dup2(*fds[i], READER_FD_LOW + i)) < 0)
            return -1;
    if (close_range(3, READER_FD_LOW - 1, 0) != 0 || close_range(READER_FD_LOW + 3, ~0U, 0) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return geteuid() != 0 ? 0
           : setgroups(0, NULL) == 0 && setresgid(READER_UID, READER_UID, READER_UID) == 0
               ? setresuid(READER_UID, READER_UID, READER_UID)
               : -1;
}

/* What the monitor relies on, whatever the child wrote. */
static void bound(struct reading *reading)
{
    reading->config.agent.state_dir[sizeof reading->config.agent.state_dir - 1] = 0;
    reading->config.agent.runtime_dir[sizeof reading->config.agent.runtime_dir - 1] = 0;
    reading->config.agent.console.ca[sizeof reading->config.agent.console.ca - 1] = 0;
    reading->config.agent.session.display[sizeof reading->config.agent.session.display - 1] = 0;
    for (unsigned i = 0; i < 2; i++)
        reading->cookies[i][sizeof reading->cookies[i] - 1] = 0;
    if (reading->cgroup.count > CGROUP_TREES_MAX)
        reading->cgroup.count = CGROUP_TREES_MAX;
    for (unsigned i = 0; i < CGROUP_TREES_MAX; i++) {
        struct cgroup_tree *tree = &reading->cgroup.trees[i];
        tree->mount[sizeof tree->mount - 1] = tree->own[sizeof tree->own - 1] = 0;
    }
}

int reader_run(struct reading *out, const struct reader_task *task,
               const struct policy *const *policies)
{
    struct reading *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct reader_task own = *task;
    int status = 0;
    if (shared == MAP_FAILED)
        return -errno;
    memcpy(shared, out, sizeof *shared);
    pid_t child = fork();
    if (child == 0)
        _exit(shed(&own) == 0 && reader_child(shared, &own, policies) == 0 ? 0 : 1);
    int result = child < 0 || waitpid(child, &status, 0) != child ? -errno : status != 0 ? -EIO : 0;
    if (result == 0 && task->config >= 0) {
        memcpy(out, shared, sizeof *out);
    } else if (result == 0) { /* nothing but what was asked for */
        out->config.agent.session = shared->config.agent.session;
        memcpy(out->cookies, shared->cookies, sizeof out->cookies);
    }
    bound(out);
    munmap(shared, sizeof *shared);
    return result;
}

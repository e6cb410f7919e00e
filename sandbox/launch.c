#include "launch_steps.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "identity.h"
#include "landlock.h"

/* Waits for the monitor's word to go on, and takes it. Nothing has been opened yet. */
static int take_order(struct launch *launch)
{
    const struct launch_order *order = &launch->order;
    ssize_t got = read(LAUNCH_FD_LINK, &launch->order, sizeof(launch->order));
    if (got != (ssize_t)sizeof(launch->order))
        return got < 0 ? -errno : -EINVAL;
    for (size_t i = 0; cloister_policies[i] != NULL; i++)
        if (strcmp(cloister_policies[i]->kind, order->kind) == 0)
            launch->policy = cloister_policies[i];
    if (launch->policy == NULL)
        return -ENOENT;
    if (!identity_fits(launch->policy->identity, order->uid, order->gid))
        return -EPERM;
    return fcntl(LAUNCH_FD_LINK, F_SETFD, FD_CLOEXEC) != 0 ? -errno : 0;
}

/* Looks before anything is opened, so that no descriptor of the launcher's passes for one. */
static int check_descriptors(struct launch *launch)
{
    for (int fd = 0; fd < LAUNCH_FD_FIRST; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            return -EBADF;
    for (int i = 0; i < (int)launch->policy->descriptor_count; i++) {
        const struct policy_descriptor *wanted = &launch->policy->descriptors[i];
        bool may_miss = wanted->optional || strcmp(wanted->name, "xauthority") == 0;
        if (!may_miss && fcntl(LAUNCH_FD_FIRST + i, F_GETFD) < 0)
            return -EBADF;
    }
    return 0;
}

/* Its control group was joined before; its root is what the worker sees of it. */
static int leave_cgroup_namespace(struct launch *launch)
{
    return launch->policy->new_cgroup && unshare(CLONE_NEWCGROUP) != 0 ? -errno : 0;
}

/* Without a mount namespace of our own the next steps would take the host's root away. */
static int check_namespaces(struct launch *launch)
{
    const struct policy *policy = launch->policy;
    uint64_t wanted = policy->namespaces | (policy->new_cgroup ? CLONE_NEWCGROUP : 0);
    struct namespaces own;
    int result = namespaces_read(&own);
    if (result != 0)
        return result;
    return (wanted & ~namespaces_differing(&own, &launch->order.monitors)) == 0 ? 0 : -EPERM;
}

static int set_hostname(struct launch *launch)
{
    bool own = (launch->policy->namespaces & CLONE_NEWUTS) != 0;
    return own && sethostname("cloister", 8) != 0 ? -errno : 0;
}

static int no_new_privs(struct launch *launch)
{
    (void)launch;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ? -errno : 0;
}

/* After the uid change, which clears the signal. The parent may have died before it was set: then
 * the life pipe has lost its writer. */
static int parent_death(struct launch *launch)
{
    (void)launch;
    struct pollfd life = {.fd = 0, .events = POLLIN};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || poll(&life, 1, 0) < 0)
        return -errno;
    return (life.revents & (POLLHUP | POLLERR | POLLNVAL)) == 0 ? 0 : -EOWNERDEAD;
}

static int leave_all(const struct launch *launch, int ruleset, int abi)
{
    char path[PATH_MAX];
    /* All that a command's root holds may be read, so it may be listed too. */
    int result = launch->policy->command ? landlock_leave(ruleset, abi, "/", POLICY_LIST) : 0;
    for (size_t i = 0; result == 0 && i < launch->policy->mount_count; i++) {
        const struct policy_mount *mount = &launch->policy->mounts[i];
        result = expand(path, launch, mount->target_base, mount->target);
        if (result == 0)
            result = landlock_leave(ruleset, abi, path, mount->rights);
        if (result == -ENOENT && mount->optional)
            result = 0;
    }
    return result;
}

static int enter_landlock(struct launch *launch)
{
    int abi = landlock_abi();
    if (launch->policy->host_root)
        return 0;
    if (abi < launch->policy->landlock_minimum)
        return abi < 0 ? abi : -EOPNOTSUPP;
    int ruleset = landlock_deny_all(abi, (launch->policy->namespaces & CLONE_NEWNET) == 0);
    if (ruleset < 0)
        return ruleset;
    int result = leave_all(launch, ruleset, abi);
    return result == 0 ? landlock_enter(ruleset) : result;
}

/* What the launcher opened closes at the exec anyway; what came along beyond the policy's would
 * not.
 */
static int close_others(struct launch *launch)
{
    unsigned first = LAUNCH_FD_FIRST + (unsigned)launch->policy->descriptor_count;
    if (close_range(first, LAUNCH_FD_LINK - 1, 0) != 0 ||
        close_range(LAUNCH_FD_LINK + 1, ~0U, 0) != 0)
        return -errno;
    return 0;
}

static int exec_worker(struct launch *launch)
{
    const struct policy_mount *program = &launch->policy->mounts[0];
    char path[PATH_MAX];
    char *none[] = {NULL};
    int result = expand(path, launch, program->target_base, program->target);
    if (result != 0)
        return result;
    char *kind = launch->policy->command ? launch->order.kind : NULL;
    execve(path, (char *[]){strrchr(path, '/') + 1, kind, NULL}, none);
    return -errno;
}

static const struct {
    int (*take)(struct launch *launch);
    char stage[LAUNCH_STAGE_MAX];
} steps[] = {
    {take_order, "order"},
    {check_descriptors, "descriptors"},
    {leave_cgroup_namespace, "cgroup"},
    {check_namespaces, "namespaces"},
    {xauthority_open, "xauthority"},
    {set_hostname, "hostname"},
    {root_begin, "root"},
    {root_mount_programs, "program"},
    {root_mount_others, "mount"},
    {root_enter, "pivot"},
    {limits_apply, "limits"},
    {capabilities_prepare, "capabilities"},
    {identity_apply, "identity"},
    {capabilities_drop, "capabilities"},
    {no_new_privs, "no_new_privs"},
    {parent_death, "parent death"},
    {enter_landlock, "landlock"},
    {close_others, "descriptors"},
    {exec_worker, "exec"},
};

int main(void)
{
    static struct launch launch;
    struct launch_failure failure = {0};
    for (size_t i = 0; failure.error == 0 && i < sizeof(steps) / sizeof(steps[0]); i++) {
        memcpy(failure.stage, steps[i].stage, sizeof(failure.stage));
        failure.error = -steps[i].take(&launch);
    }
    return send(LAUNCH_FD_LINK, &failure, sizeof(failure), MSG_NOSIGNAL) < 0 ? 2 : 1;
}

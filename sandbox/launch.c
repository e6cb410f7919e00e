#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "landlock.h"
#include "launch_steps.h"

#define STATUS_FD 99 /* out of the way of the policy's descriptors */

static int set_variable(struct launch *launch, const char *text)
{
    static const char *const names[LAUNCH_VARIABLES] = {"channel=", "state=", "x11=", "runtime="};
    for (size_t i = 0; i < LAUNCH_VARIABLES; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(text, names[i], length) == 0 && text[length] == '/') {
            launch->variables[i] = text + length;
            return 0;
        }
    }
    return -EINVAL;
}

static int set_instance(struct launch *launch, const char *text)
{
    char *end;
    launch->instance = (unsigned)strtoul(text, &end, 10);
    return end != text && *end == '\0' && launch->instance < launch->policy->instances ? 0
                                                                                       : -EINVAL;
}

static int read_option(struct launch *launch, const char *name, char *value)
{
    size_t n = 0;
    if (strcmp(name, "--set") == 0)
        return set_variable(launch, value);
    if (strcmp(name, "--instance") == 0)
        return set_instance(launch, value);
    if (strcmp(name, "--root-dir") == 0) {
        launch->root_dir = value;
    } else if (strcmp(name, "--xauthority") == 0) {
        launch->xauthority = value;
    } else if (strcmp(name, "--cgroup") == 0) {
        while (launch->cgroups[n] != NULL)
            n++;
        launch->cgroups[n] = value;
    } else if (strcmp(name, "--argument") == 0) {
        for (n = 1; launch->arguments[n] != NULL;)
            n++;
        launch->arguments[n] = value;
    } else {
        return -EINVAL;
    }
    return n < LAUNCH_WORDS_MAX ? 0 : -E2BIG;
}

static int read_arguments(struct launch *launch, int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && cloister_policies[i] != NULL; i++)
        if (strcmp(cloister_policies[i]->kind, argv[1]) == 0)
            launch->policy = cloister_policies[i];
    if (launch->policy == NULL)
        return -ENOENT;
    for (int i = 2; i < argc; i += 2) {
        int result = i + 1 < argc ? read_option(launch, argv[i], argv[i + 1]) : -EINVAL;
        if (result != 0)
            return result;
    }
    for (size_t i = 0; i < LAUNCH_VARIABLES; i++)
        if ((launch->policy->variables & (1U << i)) != 0 && launch->variables[i] == NULL)
            return -EINVAL;
    return 0;
}

/* Looks before anything is opened, so that no descriptor of the launcher's passes for one. */
static int take_descriptors(struct launch *launch)
{
    for (int fd = 0; fd < LAUNCH_FD_STATUS; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            return -EBADF;
    for (size_t i = 0; i < launch->policy->descriptor_count; i++)
        if (fcntl(LAUNCH_FD_FIRST + (int)i, F_GETFD) >= 0)
            launch->descriptors_open |= 1ULL << i;
    return dup3(LAUNCH_FD_STATUS, STATUS_FD, O_CLOEXEC) < 0 ? -errno : close(LAUNCH_FD_STATUS);
}

/* The inode of a namespace of process `pid` ("self" or a number), or 0. */
static ino_t namespace_of(const char *pid, const char *name)
{
    char path[64];
    struct stat status;
    snprintf(path, sizeof(path), "/proc/%s/ns/%s", pid, name);
    return stat(path, &status) == 0 ? status.st_ino : 0;
}

/* The parent's pid as /proc counts, which is in the parent's pid namespace and not in ours. */
static int find_parent(char pid[static 16])
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    if (status == NULL)
        return -errno;
    int found = 0;
    while (found != 1 && fgets(line, sizeof(line), status) != NULL)
        found = sscanf(line, "PPid: %15[0-9]", pid);
    fclose(status);
    return found == 1 ? 0 : -ESRCH;
}

/* Without a mount namespace of our own the next steps would take the host's root away. */
static int check_namespaces(struct launch *launch)
{
    static const struct {
        const char *name;
        uint64_t flag;
    } all[] = {
        {"mnt", CLONE_NEWNS},  {"net", CLONE_NEWNET}, {"pid", CLONE_NEWPID},
        {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS},
    };
    char parent[16];
    int result = find_parent(parent);
    for (size_t i = 0; result == 0 && i < sizeof(all) / sizeof(all[0]); i++) {
        ino_t theirs = namespace_of(parent, all[i].name);
        ino_t ours = namespace_of("self", all[i].name);
        if (theirs == 0 || ours == 0)
            result = -ENOENT;
        else if ((launch->policy->namespaces & all[i].flag) != 0 && theirs == ours)
            result = -EPERM;
    }
    return result;
}

static int join_cgroup(const char *file)
{
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = write(fd, "0", 1) == 1 ? 0 : -errno;
    close(fd);
    return result;
}

static int join_cgroups(struct launch *launch)
{
    for (size_t i = 0; launch->cgroups[i] != NULL; i++) {
        int result = join_cgroup(launch->cgroups[i]);
        if (result != 0)
            return result;
    }
    if (!launch->policy->new_cgroup)
        return 0;
    ino_t before = namespace_of("self", "cgroup");
    if (unshare(CLONE_NEWCGROUP) != 0)
        return -errno;
    return before != namespace_of("self", "cgroup") ? 0 : -EPERM;
}

static int set_hostname(struct launch *launch)
{
    bool own = (launch->policy->namespaces & CLONE_NEWUTS) != 0;
    return own && sethostname("cloister", 8) != 0 ? -errno : 0;
}

static int no_new_privs(struct launch *launch)
{
    (void)launch;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : -EPERM;
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
    snprintf(path, sizeof(path), "/bin/%s", launch->policy->program);
    int result = landlock_leave(ruleset, abi, path, POLICY_READ | POLICY_EXECUTE);
    for (size_t i = 0; result == 0 && i < launch->policy->mount_count; i++) {
        const struct policy_mount *mount = &launch->policy->mounts[i];
        result = expand(path, launch, mount->target);
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
    if (abi < launch->policy->landlock_minimum)
        return abi < 0 ? abi : -EOPNOTSUPP;
    int ruleset = landlock_deny_all(abi, (launch->policy->namespaces & CLONE_NEWNET) == 0);
    if (ruleset < 0)
        return ruleset;
    int result = leave_all(launch, ruleset, abi);
    return result == 0 ? landlock_enter(ruleset) : result;
}

static int arrange_descriptors(struct launch *launch)
{
    const struct policy *policy = launch->policy;
    for (int i = 0; i < (int)policy->descriptor_count; i++) {
        int from = (launch->descriptors_open & (1ULL << i)) != 0 ? LAUNCH_FD_FIRST + i : -1;
        if (strcmp(policy->descriptors[i].name, "xauthority") == 0)
            from = launch->xauthority_fd;
        if (from < 0 && !policy->descriptors[i].optional)
            return -EBADF;
        if (from < 0)
            close(LAUNCH_FD_WORKER + i);
        else if (dup2(from, LAUNCH_FD_WORKER + i) < 0)
            return -errno;
    }
    unsigned first = LAUNCH_FD_WORKER + (unsigned)policy->descriptor_count;
    if (close_range(first, STATUS_FD - 1, 0) != 0 || close_range(STATUS_FD + 1, ~0U, 0) != 0)
        return -errno;
    return 0;
}

static int exec_worker(struct launch *launch)
{
    char path[PATH_MAX];
    char *none[] = {NULL};
    snprintf(path, sizeof(path), "/bin/%s", launch->policy->program);
    launch->arguments[0] = path + strlen("/bin/");
    execve(path, launch->arguments, none);
    return -errno;
}

static const struct {
    int (*take)(struct launch *launch);
    enum launch_stage stage;
} steps[] = {
    {check_namespaces, LAUNCH_NAMESPACES},
    {account_find, LAUNCH_ACCOUNT},
    {program_find, LAUNCH_PROGRAM},
    {xauthority_open, LAUNCH_XAUTHORITY},
    {join_cgroups, LAUNCH_CGROUP},
    {set_hostname, LAUNCH_HOSTNAME},
    {root_begin, LAUNCH_ROOT},
    {root_mount_programs, LAUNCH_PROGRAM},
    {root_mount_others, LAUNCH_MOUNT},
    {root_enter, LAUNCH_PIVOT},
    {limits_apply, LAUNCH_LIMITS},
    {capabilities_prepare, LAUNCH_CAPABILITIES},
    {identity_apply, LAUNCH_IDENTITY},
    {capabilities_drop, LAUNCH_CAPABILITIES},
    {no_new_privs, LAUNCH_NO_NEW_PRIVS},
    {parent_death, LAUNCH_PARENT_DEATH},
    {enter_landlock, LAUNCH_LANDLOCK},
    {arrange_descriptors, LAUNCH_DESCRIPTORS},
    {exec_worker, LAUNCH_EXEC},
};

static int fail(int status, enum launch_stage stage, int error)
{
    struct launch_failure failure = {stage, -error};
    return write(status, &failure, sizeof(failure)) < 0 ? 2 : 1;
}

int main(int argc, char **argv)
{
    static struct launch launch = {.root_dir = LAUNCH_ROOT_DIR, .xauthority_fd = -1};
    int result = read_arguments(&launch, argc, argv);
    if (result == 0)
        result = take_descriptors(&launch);
    if (result != 0)
        return fail(LAUNCH_FD_STATUS, LAUNCH_ARGUMENTS, result);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        result = steps[i].take(&launch);
        if (result != 0)
            return fail(STATUS_FD, steps[i].stage, result);
    }
    return 1;
}

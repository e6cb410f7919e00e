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

#define ARGUMENTS_MAX 16
#define CGROUPS_MAX   8
#define STATUS_FD     99 /* out of the way of the policy's descriptors */

static struct launch launch = {.root_dir = LAUNCH_ROOT_DIR, .xauthority_fd = -1};
static const char *cgroups[CGROUPS_MAX];
static size_t cgroup_count;
static char *arguments[ARGUMENTS_MAX + 2]; /* argv[0] and the terminating NULL */
static size_t argument_count = 1;
static unsigned long long descriptors_open; /* bit i: the policy's descriptor i came along */

static int set_variable(const char *text)
{
    static const char *const names[LAUNCH_VARIABLES] = {"channel=", "state=", "x11=", "runtime="};
    for (size_t i = 0; i < LAUNCH_VARIABLES; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(text, names[i], length) != 0)
            continue;
        launch.variables[i] = text + length;
        return text[length] == '/' ? 0 : -EINVAL;
    }
    return -EINVAL;
}

static int option(const char *name, char *value)
{
    if (strcmp(name, "--set") == 0)
        return set_variable(value);
    if (strcmp(name, "--root-dir") == 0)
        launch.root_dir = value;
    else if (strcmp(name, "--xauthority") == 0)
        launch.xauthority = value;
    else if (strcmp(name, "--instance") == 0)
        launch.instance = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(name, "--cgroup") == 0 && cgroup_count < CGROUPS_MAX)
        cgroups[cgroup_count++] = value;
    else if (strcmp(name, "--argument") == 0 && argument_count <= ARGUMENTS_MAX)
        arguments[argument_count++] = value;
    else
        return -EINVAL;
    return 0;
}

static int read_arguments(int argc, char **argv)
{
    if (argc < 2)
        return -EINVAL;
    for (size_t i = 0; cloister_policies[i] != NULL; i++)
        if (strcmp(cloister_policies[i]->kind, argv[1]) == 0)
            launch.policy = cloister_policies[i];
    if (launch.policy == NULL)
        return -ENOENT;
    for (int i = 2; i < argc; i += 2) {
        int result = i + 1 < argc ? option(argv[i], argv[i + 1]) : -EINVAL;
        if (result != 0)
            return result;
    }
    for (size_t i = 0; i < LAUNCH_VARIABLES; i++)
        if ((launch.policy->variables & (1U << i)) != 0 && launch.variables[i] == NULL)
            return -EINVAL;
    return launch.instance < launch.policy->instances ? 0 : -EINVAL;
}

/* Looks before anything is opened, so that no descriptor of the launcher's passes for one. */
static int look_at_descriptors(void)
{
    for (int fd = 0; fd <= LAUNCH_FD_STATUS; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            return -EBADF;
    for (size_t i = 0; i < launch.policy->descriptor_count; i++)
        if (fcntl(LAUNCH_FD_FIRST + (int)i, F_GETFD) >= 0)
            descriptors_open |= 1ULL << i;
    return 0;
}

/* The parent's pid as /proc counts, which is in the parent's pid namespace and not in ours. */
static int proc_parent(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    if (status == NULL)
        return -errno;
    char line[256];
    int parent = 0;
    while (parent == 0 && fgets(line, sizeof(line), status) != NULL)
        if (strncmp(line, "PPid:", 5) == 0)
            parent = (int)strtol(line + 5, NULL, 10);
    fclose(status);
    return parent > 0 ? parent : -ESRCH;
}

/* Without a mount namespace of our own the next steps would take the host's root away. */
static int check_namespaces(void)
{
    static const struct {
        const char *name;
        uint64_t flag;
    } all[] = {
        {"mnt", CLONE_NEWNS},  {"net", CLONE_NEWNET}, {"pid", CLONE_NEWPID},
        {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS},
    };
    int parent = proc_parent();
    if (parent < 0)
        return parent;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        char theirs[64];
        char ours[64];
        struct stat a;
        struct stat b;
        snprintf(theirs, sizeof(theirs), "/proc/%d/ns/%s", parent, all[i].name);
        snprintf(ours, sizeof(ours), "/proc/self/ns/%s", all[i].name);
        if (stat(theirs, &a) != 0 || stat(ours, &b) != 0)
            return -errno;
        if ((launch.policy->namespaces & all[i].flag) != 0 && a.st_ino == b.st_ino)
            return -EPERM;
    }
    return 0;
}

static int find_account(void)
{
    return account_find(&launch.account, launch.policy->user, launch.instance);
}

static int open_xauthority(void)
{
    for (size_t i = 0; i < launch.policy->descriptor_count; i++)
        if (strcmp(launch.policy->descriptors[i].name, "xauthority") == 0)
            return xauthority_open(&launch);
    return launch.xauthority == NULL ? 0 : -EINVAL;
}

static int new_cgroup_namespace(void)
{
    struct stat before;
    struct stat after;
    if (stat("/proc/self/ns/cgroup", &before) != 0 || unshare(CLONE_NEWCGROUP) != 0 ||
        stat("/proc/self/ns/cgroup", &after) != 0)
        return -errno;
    return before.st_ino != after.st_ino ? 0 : -EPERM;
}

static int join_cgroups(void)
{
    for (size_t i = 0; i < cgroup_count; i++) {
        int fd = open(cgroups[i], O_WRONLY | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        ssize_t n = write(fd, "0", 1);
        int saved = errno;
        close(fd);
        if (n != 1)
            return n < 0 ? -saved : -EIO;
    }
    return launch.policy->new_cgroup ? new_cgroup_namespace() : 0;
}

static int set_hostname(void)
{
    if ((launch.policy->namespaces & CLONE_NEWUTS) == 0)
        return 0;
    return sethostname("cloister", 8) != 0 ? -errno : 0;
}

static int find_program(void)
{
    return program_folder(&launch);
}

static int begin_root(void)
{
    return root_begin(&launch);
}

static int mount_program(void)
{
    int result = root_mount_program(&launch);
    for (size_t i = 0; result == 0 && i < launch.policy->mount_count; i++)
        if (launch.policy->mounts[i].kind == POLICY_MOUNT_LIBRARY)
            result = root_mount(&launch, &launch.policy->mounts[i]);
    return result;
}

static int mount_others(void)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < launch.policy->mount_count; i++)
        if (launch.policy->mounts[i].kind != POLICY_MOUNT_LIBRARY)
            result = root_mount(&launch, &launch.policy->mounts[i]);
    return result;
}

static int apply_limits(void)
{
    return limits_apply(&launch);
}

static int prepare_capabilities(void)
{
    return capabilities_prepare(&launch);
}

static int apply_identity(void)
{
    return identity_apply(&launch);
}

static int drop_capabilities(void)
{
    return capabilities_drop(&launch);
}

static int no_new_privs(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : -EPERM;
}

/* After the uid change, which clears the signal. The parent may have died before it was set: then
 * the life pipe has lost its writer. */
static int parent_death(void)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return -errno;
    struct pollfd life = {.fd = 0, .events = POLLIN};
    if (poll(&life, 1, 0) < 0)
        return -errno;
    return (life.revents & (POLLHUP | POLLERR | POLLNVAL)) == 0 ? 0 : -EOWNERDEAD;
}

static int leave_all(int ruleset, int abi)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "/bin/%s", launch.policy->program);
    int result = landlock_leave(ruleset, abi, path, POLICY_READ | POLICY_EXECUTE);
    for (size_t i = 0; result == 0 && i < launch.policy->mount_count; i++) {
        const struct policy_mount *mount = &launch.policy->mounts[i];
        result = expand(path, &launch, mount->target);
        if (result == 0)
            result = landlock_leave(ruleset, abi, path, mount->rights);
        if (result == -ENOENT && mount->optional)
            result = 0;
    }
    return result;
}

static int enter_landlock(void)
{
    int abi = landlock_abi();
    if (abi < 0)
        return abi;
    if (abi < launch.policy->landlock_minimum)
        return -EOPNOTSUPP;
    int ruleset = landlock_deny_all(abi, (launch.policy->namespaces & CLONE_NEWNET) == 0);
    if (ruleset < 0)
        return ruleset;
    int result = leave_all(ruleset, abi);
    if (result == 0)
        result = landlock_enter(ruleset);
    close(ruleset);
    return result;
}

static int arrange_descriptors(void)
{
    const struct policy *policy = launch.policy;
    for (size_t i = 0; i < policy->descriptor_count; i++) {
        int from = LAUNCH_FD_FIRST + (int)i;
        int to = LAUNCH_FD_WORKER + (int)i;
        if (strcmp(policy->descriptors[i].name, "xauthority") == 0)
            from = launch.xauthority_fd;
        else if ((descriptors_open & (1ULL << i)) == 0)
            from = -1;
        if (from < 0 && !policy->descriptors[i].optional)
            return -EBADF;
        if (from < 0)
            close(to);
        else if (dup2(from, to) < 0)
            return -errno;
    }
    unsigned first = LAUNCH_FD_WORKER + (unsigned)policy->descriptor_count;
    if (close_range(first, STATUS_FD - 1, 0) != 0 || close_range(STATUS_FD + 1, ~0U, 0) != 0)
        return -errno;
    return 0;
}

static int exec_worker(void)
{
    char path[PATH_MAX];
    char *none[] = {NULL};
    snprintf(path, sizeof(path), "/bin/%s", launch.policy->program);
    arguments[0] = path + strlen("/bin/");
    execve(path, arguments, none);
    return -errno;
}

static const struct {
    int (*take)(void);
    enum launch_stage stage;
} steps[] = {
    {check_namespaces, LAUNCH_NAMESPACES},
    {find_account, LAUNCH_ACCOUNT},
    {find_program, LAUNCH_PROGRAM},
    {open_xauthority, LAUNCH_XAUTHORITY},
    {join_cgroups, LAUNCH_CGROUP},
    {set_hostname, LAUNCH_HOSTNAME},
    {begin_root, LAUNCH_ROOT},
    {mount_program, LAUNCH_PROGRAM},
    {mount_others, LAUNCH_MOUNT},
    {root_enter, LAUNCH_PIVOT},
    {apply_limits, LAUNCH_LIMITS},
    {prepare_capabilities, LAUNCH_CAPABILITIES},
    {apply_identity, LAUNCH_IDENTITY},
    {drop_capabilities, LAUNCH_CAPABILITIES},
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
    int result = read_arguments(argc, argv);
    if (result == 0)
        result = look_at_descriptors();
    if (result != 0)
        return fail(LAUNCH_FD_STATUS, LAUNCH_ARGUMENTS, result);
    if (dup3(LAUNCH_FD_STATUS, STATUS_FD, O_CLOEXEC) < 0)
        return fail(LAUNCH_FD_STATUS, LAUNCH_ARGUMENTS, -errno);
    close(LAUNCH_FD_STATUS);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        result = steps[i].take();
        if (result != 0)
            return fail(STATUS_FD, steps[i].stage, result);
    }
    return 1;
}

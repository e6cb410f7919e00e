#include "escapes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ESCAPE(name) static int name(const struct escape_target *target)

static int result(long value)
{
    return value < 0 ? -errno : 0;
}

/* ---------------------------------------------------------------- namespaces, control groups */

/* Whoever makes one by clone runs on in it: both return, the child at once ends. */
static int clone_into(uint64_t flags, bool three)
{
    struct clone_args args = {.flags = flags, .exit_signal = SIGCHLD};
    long pid = three ? syscall(SYS_clone3, &args, sizeof(args))
                     : syscall(SYS_clone, flags | SIGCHLD, 0, NULL, NULL, 0);
    if (pid == 0)
        _exit(0);
    if (pid < 0)
        return -errno;
    waitpid((pid_t)pid, NULL, 0);
    return 0;
}

#define NAMESPACE(name, ...)                                                                       \
    ESCAPE(name)                                                                                   \
    {                                                                                              \
        (void)target;                                                                              \
        return __VA_ARGS__;                                                                        \
    }

NAMESPACE(unshare_user, result(unshare(CLONE_NEWUSER)))
NAMESPACE(unshare_user_and_mount, result(unshare(CLONE_NEWUSER | CLONE_NEWNS)))
NAMESPACE(unshare_user_high, result(syscall(SYS_unshare, 0x100000000UL | CLONE_NEWUSER)))
NAMESPACE(unshare_mount, result(unshare(CLONE_NEWNS)))
NAMESPACE(unshare_net, result(unshare(CLONE_NEWNET)))
NAMESPACE(unshare_cgroup, result(unshare(CLONE_NEWCGROUP)))
NAMESPACE(clone_user, clone_into(CLONE_NEWUSER, false))
NAMESPACE(clone_pid, clone_into(CLONE_NEWPID, false))
NAMESPACE(clone3_user, clone_into(CLONE_NEWUSER, true))
NAMESPACE(clone3_plain, clone_into(0, true))

/* Another process's namespaces, by its files and by its pidfd. */
ESCAPE(enter_namespaces)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/ns/ipc", target->victim);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : result(setns(fd, 0));
}

ESCAPE(enter_by_pidfd)
{
    long fd = syscall(SYS_pidfd_open, target->victim, 0);
    return fd < 0 ? -errno : result(setns((int)fd, CLONE_NEWIPC));
}

static const char *const trees[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/memory",
                                    "/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified"};

/* Moves itself to where no limit is. */
ESCAPE(leave_group)
{
    (void)target;
    int error = -ENOENT;
    for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/cgroup.procs", trees[i]);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        error = fd < 0 ? -errno : result(write(fd, "0", 1));
        if (error == 0)
            return 0;
    }
    return error;
}

ESCAPE(make_group)
{
    (void)target;
    int error = -ENOENT;
    for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/cloister-escape", trees[i]);
        if (mkdir(path, 0755) == 0)
            return rmdir(path) != 0 ? -errno : 0;
        error = -errno;
    }
    return error;
}

ESCAPE(mount_group)
{
    (void)target;
    return mount("cgroup2", "/tmp", "cgroup2", 0, NULL) == 0 ? 0 : -errno;
}

/* ---------------------------------------------------------------- rights */

/*
 * Whether the program that `pid` executes, "passwd", runs as root: 0 or a negative errno. A process
 * that is another user's cannot be seen in /proc, or is seen to be that one's.
 */
static int runs_as_root(pid_t pid)
{
    for (int i = 0; i < 1000; i++) {
        char path[64];
        char name[32] = "";
        struct stat status;
        snprintf(path, sizeof(path), "/proc/%d/comm", pid);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return -ECHILD;
        if (fd < 0 || read(fd, name, sizeof(name) - 1) < 0 || fstat(fd, &status) != 0)
            return 0;
        close(fd);
        if (strcmp(name, "passwd\n") == 0)
            return status.st_uid == 0 ? 0 : -EPERM;
        usleep(5000);
    }
    return -ETIMEDOUT;
}

/* passwd(1) is setuid to root, and cannot say what it has to say. */
ESCAPE(run_setuid_program)
{
    (void)target;
    int full[2];
    if (pipe2(full, O_NONBLOCK | O_CLOEXEC) != 0)
        return -errno;
    while (write(full[1], "x", 1) == 1)
        continue;
    if (fcntl(full[1], F_SETFL, 0) != 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(full[1], 1);
        dup2(full[1], 2);
        execl("/usr/bin/passwd", "passwd", "--help", (char *)NULL);
        _exit(126);
    }
    int error = runs_as_root(pid);
    kill(pid, SIGKILL);
    close(full[0]); /* a kill that was refused ends it so */
    close(full[1]);
    waitpid(pid, NULL, 0);
    return error;
}

ESCAPE(become_root)
{
    (void)target;
    return syscall(SYS_setresuid, 0, 0, 0) == 0 && syscall(SYS_setgid, 0) == 0 ? 0 : -errno;
}

ESCAPE(become_another)
{
    (void)target;
    return result(syscall(SYS_setresuid, 1, 1, 1));
}

ESCAPE(join_groups)
{
    (void)target;
    return result(syscall(SYS_setgroups, 1, (gid_t[]){42})); /* shadow */
}

ESCAPE(has_groups)
{
    (void)target;
    gid_t groups[64];
    return getgroups(64, groups) > 0 ? 0 : -ENOENT;
}

/* Any capability, in any set, the bounding one included. */
ESCAPE(has_capabilities)
{
    (void)target;
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &head, data) != 0)
        return -errno;
    for (int i = 0; i < 2; i++)
        if (data[i].effective | data[i].permitted | data[i].inheritable)
            return 0;
    for (unsigned long c = 0; c < 64; c++)
        if (prctl(PR_CAPBSET_READ, c) > 0)
            return 0;
    return -EPERM;
}

ESCAPE(raise_capabilities)
{
    (void)target;
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{.effective = 1, .permitted = 1}};
    return result(syscall(SYS_capset, &head, data));
}

ESCAPE(undo_no_new_privs)
{
    (void)target;
    prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0);
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ? 0 : -EPERM;
}

ESCAPE(raise_limits)
{
    (void)target;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return -errno;
    limit.rlim_max++;
    return result(setrlimit(RLIMIT_NOFILE, &limit));
}

/* With no core files at all, some hosts start a program of root's that reads the dead one. */
ESCAPE(start_crash_handler)
{
    (void)target;
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0 && syscall(SYS_setrlimit, RLIMIT_CORE, &none) != 0 &&
        syscall(SYS_setrlimit, 0x100000000UL | RLIMIT_CORE, &none) != 0)
        return -errno;
    return getrlimit(RLIMIT_CORE, &none) == 0 && none.rlim_cur != 1 ? 0 : -EPERM;
}

/* Input to the terminal that its controlling process reads next; the kernel sees the lower half of
 * the number alone. */
static int push_input(unsigned long number)
{
    int terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    return result(syscall(SYS_ioctl, terminal < 0 ? 0 : terminal, number, "x"));
}

ESCAPE(steal_terminal)
{
    (void)target;
    return push_input(TIOCSTI);
}

ESCAPE(steal_terminal_high)
{
    (void)target;
    return push_input(0x100000000UL | TIOCSTI);
}

/* clang-format off */
const struct escape escapes_rights[] = {
    {"unshare user", unshare_user, ESCAPE_UNSURE},
    {"unshare user and mount", unshare_user_and_mount, ESCAPE_UNSURE},
    {"unshare user, high bits", unshare_user_high, ESCAPE_UNSURE},
    {"unshare mount", unshare_mount, ESCAPE_AS_ROOT},
    {"unshare net", unshare_net, ESCAPE_AS_ROOT},
    {"unshare cgroup", unshare_cgroup, ESCAPE_AS_ROOT},
    {"clone user", clone_user, ESCAPE_UNSURE},
    {"clone pid", clone_pid, ESCAPE_AS_ROOT},
    {"clone3 user", clone3_user, ESCAPE_UNSURE},
    {"clone3", clone3_plain, ESCAPE_AS_USER},
    {"setns", enter_namespaces, ESCAPE_AS_ROOT},
    {"setns by pidfd", enter_by_pidfd, ESCAPE_AS_ROOT},
    {"leave its control group", leave_group, ESCAPE_AS_ROOT},
    {"make a control group", make_group, ESCAPE_AS_ROOT},
    {"mount control groups", mount_group, ESCAPE_AS_ROOT},
    {"run a setuid program", run_setuid_program, ESCAPE_AS_USER},
    {"setresuid 0", become_root, ESCAPE_AS_ROOT},
    {"setresuid 1", become_another, ESCAPE_AS_ROOT},
    {"setgroups shadow", join_groups, ESCAPE_AS_ROOT},
    {"be in a group", has_groups, ESCAPE_UNSURE},
    {"have a capability", has_capabilities, ESCAPE_AS_ROOT},
    {"capset", raise_capabilities, ESCAPE_AS_ROOT},
    {"undo no_new_privs", undo_no_new_privs, ESCAPE_AS_USER},
    {"raise a limit", raise_limits, ESCAPE_UNSURE},
    {"have a crash handler started", start_crash_handler, ESCAPE_AS_USER},
    {"TIOCSTI", steal_terminal, ESCAPE_AS_ROOT},
    {"TIOCSTI, high bits", steal_terminal_high, ESCAPE_AS_ROOT},
    {NULL, NULL, ESCAPE_UNSURE},
};

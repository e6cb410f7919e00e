#include "escapes.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ESCAPE(name) static int name(const struct escape_target *target)

static int result(long value)
{
    return value < 0 ? -errno : 0;
}

/* ---------------------------------------------------------------- sockets */

/* Any socket at all. */
ESCAPE(any_socket)
{
    (void)target;
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET};
    int error = -EAFNOSUPPORT;
    for (int family = 0; family < 64; family++)
        for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
            if (socket(family, types[t], 0) >= 0)
                return 0;
            error = -errno;
        }
    return error;
}

static int reach_internet(int type, const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, type, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        return -errno;
    return result(write(fd, "x", 1));
}

ESCAPE(reach_tcp)
{
    return reach_internet(SOCK_STREAM, target->port);
}

ESCAPE(reach_udp)
{
    return reach_internet(SOCK_DGRAM, target->port);
}

ESCAPE(ask_netlink)
{
    (void)target;
    struct {
        struct nlmsghdr head;
        struct rtgenmsg body;
    } request = {{sizeof(request), RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {AF_UNSPEC}};
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    return fd < 0 ? -errno : result(send(fd, &request, sizeof(request), 0));
}

/* `path` begins with NUL for an abstract name. */
static int reach_unix(const char *path, size_t length)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (length > sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, length);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    return fd < 0 ? -errno : result(connect(fd, (struct sockaddr *)&address, size));
}

static int reach_path(const char *head, const char *path)
{
    char whole[sizeof(((struct sockaddr_un *)0)->sun_path)];
    int n = snprintf(whole, sizeof(whole), "%s%s", head, path);
    return n < (int)sizeof(whole) ? reach_unix(whole, (size_t)n) : -ENAMETOOLONG;
}

ESCAPE(reach_channel)
{
    return reach_path("", target->channel);
}

ESCAPE(reach_channel_by_init)
{
    return reach_path("/proc/1/root", target->channel);
}

ESCAPE(reach_door)
{
    return reach_path("", target->door);
}

ESCAPE(reach_x11)
{
    return reach_path("", target->x11);
}

ESCAPE(reach_x11_by_init)
{
    return reach_path("/proc/1/root", target->x11);
}

ESCAPE(reach_abstract)
{
    char name[108] = {0};
    int n = snprintf(name + 1, sizeof(name) - 1, "%s", target->abstract);
    return reach_unix(name, (size_t)n + 1);
}

/* A datagram socket of a pair can be given another address. */
ESCAPE(redirect_pair)
{
    (void)target;
    int pair[2];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "cloister-escape-none");
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) != 0)
        return -errno;
    errno = 0;
    (void)!sendto(pair[0], "x", 1, 0, (struct sockaddr *)&address, sizeof(address));
    return errno == ECONNREFUSED || errno == 0 ? 0 : -errno;
}

/* ---------------------------------------------------------------- other processes */

ESCAPE(signal_victim)
{
    return result(kill(target->victim, 0));
}

ESCAPE(queue_signal)
{
    return result(sigqueue(target->victim, 0, (union sigval){0}));
}

ESCAPE(signal_by_pidfd)
{
    long fd = syscall(SYS_pidfd_open, target->victim, 0);
    return fd < 0 ? -errno : result(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
}

/* Anybody but itself and its helper. */
ESCAPE(signal_anybody)
{
    (void)target;
    for (pid_t pid = 2; pid < 65536; pid++)
        if (pid != getpid() && kill(pid, 0) == 0)
            return 0;
    return -ESRCH;
}

/* It would have died with its helper. */
ESCAPE(kill_helper)
{
    (void)target;
    static const int numbers[] = {SIGKILL, SIGSTOP, SIGTERM, SIGSEGV};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        kill(1, numbers[i]);
    usleep(20000);
    return -EPERM;
}

ESCAPE(trace_victim)
{
    return result(ptrace(PTRACE_SEIZE, target->victim, NULL, NULL));
}

ESCAPE(trace_child)
{
    (void)target;
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    int error = result(ptrace(PTRACE_SEIZE, pid, NULL, NULL));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return error;
}

/* Its helper has the same uid; it must be out of reach all the same. */
ESCAPE(trace_helper)
{
    (void)target;
    return result(ptrace(PTRACE_SEIZE, getppid(), NULL, NULL));
}

ESCAPE(read_helpers_memory)
{
    (void)target;
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/mem", getppid());
    return result(open(path, O_RDWR | O_CLOEXEC));
}

ESCAPE(take_helpers_descriptor)
{
    (void)target;
    char path[64];
    long fd = syscall(SYS_pidfd_open, getppid(), 0);
    if (fd >= 0 && syscall(SYS_pidfd_getfd, fd, 2, 0) >= 0)
        return 0;
    snprintf(path, sizeof(path), "/proc/%d/fd/2", getppid());
    return result(open(path, O_WRONLY | O_CLOEXEC));
}

ESCAPE(read_memory)
{
    char byte = 0;
    struct iovec here = {&byte, 1};
    struct iovec there = {(void *)(uintptr_t)4096, 1};
    if (process_vm_readv(target->victim, &here, 1, &there, 1, 0) >= 0 || errno == EFAULT)
        return 0;
    return -errno;
}

ESCAPE(take_descriptor)
{
    long fd = syscall(SYS_pidfd_open, target->victim, 0);
    return fd < 0 ? -errno : result(syscall(SYS_pidfd_getfd, fd, 0, 0));
}

ESCAPE(limit_victim)
{
    struct rlimit limit;
    return result(prlimit(target->victim, RLIMIT_CORE, NULL, &limit));
}

ESCAPE(slow_victim)
{
    return result(setpriority(PRIO_PROCESS, (id_t)target->victim, 1));
}

/* /proc tells of no process but its own and its helper's. */
ESCAPE(see_others)
{
    (void)target;
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    int others = 0;
    while (proc != NULL && (entry = readdir(proc)) != NULL) {
        pid_t pid = atoi(entry->d_name);
        others += pid > 0 && pid != getpid() && pid != getppid();
    }
    if (proc != NULL)
        closedir(proc);
    return others > 0 ? 0 : -ENOENT;
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
const struct escape escapes_world[] = {
    {"socket of any family", any_socket, ESCAPE_AS_USER},
    {"connect TCP", reach_tcp, ESCAPE_AS_USER},
    {"send UDP", reach_udp, ESCAPE_AS_USER},
    {"ask netlink", ask_netlink, ESCAPE_AS_USER},
    {"connect a worker's channel", reach_channel, ESCAPE_AS_ROOT},
    {"connect a channel below /proc/1/root", reach_channel_by_init, ESCAPE_UNSURE},
    {"connect the users' door", reach_door, ESCAPE_AS_USER},
    {"connect X", reach_x11, ESCAPE_AS_USER},
    {"connect X below /proc/1/root", reach_x11_by_init, ESCAPE_UNSURE},
    {"connect X's abstract socket", reach_abstract, ESCAPE_AS_USER},
    {"give a socketpair an address", redirect_pair, ESCAPE_AS_USER},
    {"signal another process", signal_victim, ESCAPE_AS_ROOT},
    {"queue a signal", queue_signal, ESCAPE_AS_ROOT},
    {"signal by pidfd", signal_by_pidfd, ESCAPE_AS_ROOT},
    {"signal anybody", signal_anybody, ESCAPE_AS_ROOT},
    {"kill its helper", kill_helper, ESCAPE_UNSURE},
    {"trace another process", trace_victim, ESCAPE_AS_ROOT},
    {"trace its child", trace_child, ESCAPE_AS_USER},
    {"trace its helper", trace_helper, ESCAPE_UNSURE},
    {"open its helper's memory", read_helpers_memory, ESCAPE_UNSURE},
    {"take its helper's descriptor", take_helpers_descriptor, ESCAPE_UNSURE},
    {"read another process's memory", read_memory, ESCAPE_AS_ROOT},
    {"take another process's descriptor", take_descriptor, ESCAPE_AS_ROOT},
    {"ask another process's limits", limit_victim, ESCAPE_UNSURE},
    {"slow another process", slow_victim, ESCAPE_AS_ROOT},
    {"see other processes", see_others, ESCAPE_AS_USER},
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
/* clang-format on */

const struct escape *escape_find(const char *name)
{
    const struct escape *const lists[] = {escapes_files, escapes_world};
    for (size_t l = 0; l < 2; l++)
        for (const struct escape *escape = lists[l]; escape->name != NULL; escape++)
            if (strcmp(escape->name, name) == 0)
                return escape;
    return NULL;
}

int escape_target_write(char *out, size_t capacity, const struct escape_target *target)
{
    int n = snprintf(out, capacity, "%d %s %s %s %s %s %s %s %s", target->victim, target->secret,
                     target->exposed, target->channel, target->door, target->x11, target->abstract,
                     target->port, target->root);
    return n > 0 && (size_t)n < capacity ? 0 : -1;
}

int escape_target_read(struct escape_target *out, char *text)
{
    const char **const members[] = {&out->secret, &out->exposed,  &out->channel, &out->door,
                                    &out->x11,    &out->abstract, &out->port,    &out->root};
    char *save = NULL;
    const char *first = strtok_r(text, " ", &save);
    out->victim = first == NULL ? 0 : atoi(first);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        if ((*members[i] = strtok_r(NULL, " ", &save)) == NULL)
            return -1;
    return 0;
}

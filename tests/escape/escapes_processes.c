#include "escapes.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
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

/* clang-format off */
const struct escape escapes_processes[] = {
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
    {NULL, NULL, ESCAPE_UNSURE},
};

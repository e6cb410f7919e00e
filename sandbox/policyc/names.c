#include "names.h"

#include <errno.h>
#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fiemap.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "policy.h"

struct named {
    const char *name;
    uint64_t value;
};

/* clang-format off */
#define CONSTANT(name) {#name, (uint64_t)(name)}

static const struct named constants[] = {
    CONSTANT(PROT_READ), CONSTANT(PROT_WRITE), CONSTANT(PROT_EXEC), CONSTANT(PROT_NONE),
    CONSTANT(MAP_SHARED), CONSTANT(MAP_PRIVATE), CONSTANT(MAP_ANONYMOUS), CONSTANT(MAP_FIXED),
    CONSTANT(MADV_NORMAL), CONSTANT(MADV_DONTNEED), CONSTANT(MADV_FREE), CONSTANT(MADV_DONTFORK),
    CONSTANT(MADV_DONTDUMP), CONSTANT(MADV_DONTNEED_LOCKED), CONSTANT(MADV_WIPEONFORK), CONSTANT(MADV_HUGEPAGE),
    CONSTANT(MADV_NOHUGEPAGE), CONSTANT(MADV_WILLNEED), CONSTANT(MADV_SEQUENTIAL),
    CONSTANT(MADV_RANDOM), CONSTANT(MLOCK_ONFAULT), CONSTANT(SHM_EXEC),
    CONSTANT(MFD_CLOEXEC), CONSTANT(MFD_ALLOW_SEALING),
    CONSTANT(AF_UNIX), CONSTANT(AF_INET), CONSTANT(AF_INET6), CONSTANT(AF_NETLINK),
    CONSTANT(SOCK_STREAM), CONSTANT(SOCK_DGRAM), CONSTANT(SOCK_SEQPACKET), CONSTANT(SOCK_CLOEXEC),
    CONSTANT(SOCK_NONBLOCK), CONSTANT(SOL_SOCKET), CONSTANT(IPPROTO_TCP), CONSTANT(IPPROTO_IP),
    CONSTANT(IPPROTO_UDP), CONSTANT(IPPROTO_IPV6), CONSTANT(SO_PEERCRED), CONSTANT(SO_ERROR),
    CONSTANT(SO_KEEPALIVE), CONSTANT(SO_TYPE), CONSTANT(SO_RCVBUF), CONSTANT(SO_SNDBUF),
    CONSTANT(SO_REUSEADDR), CONSTANT(SO_PASSCRED), CONSTANT(TCP_NODELAY),
    CONSTANT(TCP_KEEPIDLE), CONSTANT(TCP_KEEPINTVL), CONSTANT(TCP_KEEPCNT),
    CONSTANT(TCP_USER_TIMEOUT), CONSTANT(TCP_FASTOPEN_CONNECT),
    CONSTANT(F_DUPFD), CONSTANT(F_DUPFD_CLOEXEC), CONSTANT(FD_CLOEXEC), CONSTANT(F_GETFD), CONSTANT(F_SETFD),
    CONSTANT(F_GETFL), CONSTANT(F_SETFL), CONSTANT(F_GETLK), CONSTANT(F_SETLK),
    CONSTANT(F_SETLKW), CONSTANT(F_OFD_GETLK), CONSTANT(F_OFD_SETLK), CONSTANT(F_OFD_SETLKW),
    CONSTANT(F_GETOWN), CONSTANT(F_GETPIPE_SZ), CONSTANT(F_SETPIPE_SZ), CONSTANT(F_ADD_SEALS), CONSTANT(F_GET_SEALS),
    CONSTANT(O_RDONLY), CONSTANT(O_WRONLY), CONSTANT(O_RDWR), CONSTANT(O_ACCMODE),
    CONSTANT(O_CREAT), CONSTANT(O_EXCL), CONSTANT(O_TRUNC), CONSTANT(O_APPEND),
    CONSTANT(O_NONBLOCK), CONSTANT(O_CLOEXEC), CONSTANT(O_NOFOLLOW), CONSTANT(O_DIRECTORY),
    CONSTANT(O_PATH), CONSTANT(O_TMPFILE), CONSTANT(AT_FDCWD), CONSTANT(AT_REMOVEDIR),
    CONSTANT(AT_EMPTY_PATH), CONSTANT(AT_SYMLINK_NOFOLLOW),
    CONSTANT(FIONREAD), CONSTANT(FIONBIO), CONSTANT(TCGETS), CONSTANT(TIOCGWINSZ),
    CONSTANT(TCFLSH), CONSTANT(TIOCSTI), CONSTANT(TIOCLINUX), CONSTANT(TIOCGPGRP), CONSTANT(TIOCOUTQ),
    CONSTANT(FIOCLEX), CONSTANT(FIONCLEX), CONSTANT(FIGETBSZ), CONSTANT(FS_IOC_GETFLAGS),
    CONSTANT(FS_IOC_FIEMAP),
    CONSTANT(PR_SET_NAME), CONSTANT(PR_GET_NAME), CONSTANT(PR_GET_DUMPABLE),
    CONSTANT(PR_GET_PDEATHSIG), CONSTANT(PR_SET_VMA), CONSTANT(PR_SET_PDEATHSIG),
    CONSTANT(PR_SET_DUMPABLE), CONSTANT(PR_GET_SECCOMP), CONSTANT(PR_CAPBSET_READ),
    CONSTANT(PR_SET_NO_NEW_PRIVS), CONSTANT(PR_GET_NO_NEW_PRIVS), CONSTANT(PR_SET_CHILD_SUBREAPER),
    CONSTANT(PR_GET_CHILD_SUBREAPER), CONSTANT(PR_GET_KEEPCAPS), CONSTANT(PR_GET_SECUREBITS),
    CONSTANT(PR_GET_TIMERSLACK), CONSTANT(PR_SET_TIMERSLACK), CONSTANT(PR_CAP_AMBIENT),
    CONSTANT(ARCH_SET_FS), CONSTANT(ARCH_GET_FS),
    CONSTANT(RLIMIT_CPU), CONSTANT(RLIMIT_FSIZE), CONSTANT(RLIMIT_DATA), CONSTANT(RLIMIT_STACK),
    CONSTANT(RLIMIT_RSS), CONSTANT(RLIMIT_NPROC), CONSTANT(RLIMIT_NOFILE), CONSTANT(RLIMIT_MEMLOCK),
    CONSTANT(RLIMIT_AS), CONSTANT(RLIMIT_LOCKS), CONSTANT(RLIMIT_SIGPENDING),
    CONSTANT(RLIMIT_MSGQUEUE), CONSTANT(RLIMIT_NICE), CONSTANT(RLIMIT_RTPRIO),
    CONSTANT(CLONE_VM), CONSTANT(CLONE_FS), CONSTANT(CLONE_FILES), CONSTANT(CLONE_SIGHAND),
    CONSTANT(CLONE_THREAD), CONSTANT(CLONE_SYSVSEM), CONSTANT(CLONE_SETTLS),
    CONSTANT(CLONE_PARENT_SETTID), CONSTANT(CLONE_CHILD_CLEARTID), CONSTANT(CLONE_NEWUSER),
    CONSTANT(CLONE_VFORK), CONSTANT(CLONE_PIDFD), CONSTANT(CLONE_NEWNS), CONSTANT(CLONE_NEWCGROUP),
    CONSTANT(CLONE_NEWUTS), CONSTANT(CLONE_NEWIPC), CONSTANT(CLONE_NEWPID), CONSTANT(CLONE_NEWNET),
    CONSTANT(S_ISUID), CONSTANT(S_ISGID), CONSTANT(S_IFSOCK), CONSTANT(S_IFREG), CONSTANT(S_IFIFO), CONSTANT(S_IFMT),
    CONSTANT(SIGKILL), CONSTANT(SIGTERM), CONSTANT(SIGABRT), CONSTANT(SIGCHLD),
    CONSTANT(SHUT_RD), CONSTANT(SHUT_WR), CONSTANT(SHUT_RDWR),
    CONSTANT(MSG_NOSIGNAL), CONSTANT(MSG_DONTWAIT), CONSTANT(MSG_PEEK),
};

static const struct named errors[] = {
    CONSTANT(EPERM), CONSTANT(ENOENT), CONSTANT(EACCES), CONSTANT(ENOSYS), CONSTANT(EINVAL),
    CONSTANT(EBADF), CONSTANT(EAFNOSUPPORT), CONSTANT(EOPNOTSUPP), CONSTANT(ENOTTY),
    CONSTANT(ENOTSUP), CONSTANT(ENOMEM), CONSTANT(EAGAIN), CONSTANT(EROFS),
};

static const struct named limits[] = {
    {"as", RLIMIT_AS}, {"core", RLIMIT_CORE}, {"cpu", RLIMIT_CPU}, {"data", RLIMIT_DATA},
    {"fsize", RLIMIT_FSIZE}, {"locks", RLIMIT_LOCKS}, {"msgqueue", RLIMIT_MSGQUEUE},
    {"nice", RLIMIT_NICE}, {"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC},
    {"rtprio", RLIMIT_RTPRIO}, {"rttime", RLIMIT_RTTIME}, {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
};

static const struct named namespaces[] = {
    {"mount", CLONE_NEWNS}, {"net", CLONE_NEWNET}, {"pid", CLONE_NEWPID}, {"ipc", CLONE_NEWIPC},
    {"uts", CLONE_NEWUTS}, {"cgroup", CLONE_NEWCGROUP},
};

static const struct named rights[] = {
    {"read", POLICY_READ}, {"write", POLICY_WRITE}, {"create", POLICY_CREATE},
    {"remove", POLICY_REMOVE}, {"sockets", POLICY_SOCKETS}, {"directories", POLICY_DIRECTORIES},
    {"execute", POLICY_EXECUTE}, {"pipes", POLICY_PIPES}, {"links", POLICY_LINKS},
    {"moves", POLICY_MOVES},
};

static const struct named variables[] = {
    {"channel", POLICY_VARIABLE_CHANNEL}, {"state", POLICY_VARIABLE_STATE},
    {"x11", POLICY_VARIABLE_X11}, {"runtime", POLICY_VARIABLE_RUNTIME},
};

/* Every other call is dangerous, so a call that nobody has thought about needs a reason. */
static const char *const ordinary[] = {
    "read", "write", "readv", "writev", "pread64", "preadv", "preadv2", "close", "lseek", "fstat",
    "fdatasync", "fsync",
    "recvfrom", "recvmsg", "recvmmsg", "sendto", "sendmsg", "sendmmsg", "shutdown",
    "getsockopt", "getsockname", "getpeername",
    "poll", "ppoll", "select", "pselect6", "epoll_create1", "epoll_ctl", "epoll_wait",
    "epoll_pwait", "epoll_pwait2", "eventfd2", "timerfd_create", "timerfd_settime",
    "timerfd_gettime", "pipe2",
    "futex", "sched_yield", "nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres",
    "gettimeofday", "time", "times", "restart_syscall", "getrandom", "getrusage",
    "brk", "munmap", "mremap", "madvise", "mincore", "mlock", "mlock2", "munlock", "memfd_secret",
    "membarrier",
    "rt_sigreturn", "rt_sigprocmask", "rt_sigaction", "sigaltstack", "set_robust_list", "rseq",
    "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "exit", "exit_group",
};

static const char *const narrow[] = {
    "ioctl", "prctl", "fcntl", "socket", "socketpair", "setsockopt", "clone", "prlimit64",
    "arch_prctl", "sched_setscheduler",
};

/* What makes code, escapes, loads into the kernel, or looks into other processes. */
static const char *const never[] = {
    "pkey_mprotect", "personality", "modify_ldt", "uselib", "remap_file_pages",
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd",
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "io_setup", "io_submit", "keyctl", "add_key", "request_key",
    "mount", "umount2", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick",
    "mount_setattr", "pivot_root", "chroot", "setns", "unshare", "swapon", "swapoff",
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid",
    "setgroups", "capset", "seccomp", "name_to_handle_at", "open_by_handle_at", "clone3",
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot",
    "iopl", "ioperm", "acct", "quotactl", "settimeofday", "clock_settime", "adjtimex",
    "clock_adjtime", "sethostname", "setdomainname", "syslog", "vhangup", "mknod", "mknodat",
    "fanotify_init", "lookup_dcookie", "nfsservctl", "migrate_pages", "move_pages", "mbind",
    "set_mempolicy",
};
/* clang-format on */

static const struct code_guard guards[] = {
    {"mmap", 2, PROT_EXEC, "arg2 & PROT_EXEC == 0"},
    {"mprotect", 2, PROT_EXEC, "arg2 & PROT_EXEC == 0"},
    {"shmat", 2, SHM_EXEC, "arg2 & SHM_EXEC == 0"},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct named *find(const struct named *table, size_t count, const char *name,
                                size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(table[i].name) == length && strncmp(table[i].name, name, length) == 0)
            return &table[i];
    return NULL;
}

bool constant_named(const char *name, uint64_t *value)
{
    const struct named *found = find(constants, COUNT(constants), name, strlen(name));
    if (found != NULL)
        *value = found->value;
    return found != NULL;
}

int errno_named(const char *name)
{
    const struct named *found = find(errors, COUNT(errors), name, strlen(name));
    return found == NULL ? 0 : (int)found->value;
}

int limit_named(const char *name)
{
    const struct named *found = find(limits, COUNT(limits), name, strlen(name));
    return found == NULL ? -1 : (int)found->value;
}

uint64_t namespace_named(const char *name)
{
    const struct named *found = find(namespaces, COUNT(namespaces), name, strlen(name));
    return found == NULL ? 0 : found->value;
}

uint32_t right_named(const char *name)
{
    const struct named *found = find(rights, COUNT(rights), name, strlen(name));
    return found == NULL ? 0 : (uint32_t)found->value;
}

uint32_t variable_named(const char *name, unsigned length)
{
    const struct named *found = find(variables, COUNT(variables), name, length);
    return found == NULL ? 0 : (uint32_t)found->value;
}

static bool is_in(const char *const *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

enum call_class call_class(const char *name)
{
    if (code_guard(name) != NULL)
        return CALL_CODE;
    if (is_in(never, COUNT(never), name))
        return CALL_NEVER;
    if (is_in(narrow, COUNT(narrow), name))
        return CALL_NARROW;
    return is_in(ordinary, COUNT(ordinary), name) ? CALL_ORDINARY : CALL_DANGEROUS;
}

const struct code_guard *code_guard(const char *name)
{
    for (size_t i = 0; i < COUNT(guards); i++)
        if (strcmp(guards[i].name, name) == 0)
            return &guards[i];
    return NULL;
}

#include "attacks.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
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
#include <unistd.h>

/* Each attack is one function of this form; most are one call. */
#define ATTACK(name) static int name(const struct attack_target *target)
#define CALL(name, ...)                                                                            \
    ATTACK(name)                                                                                   \
    {                                                                                              \
        (void)target;                                                                              \
        return result(__VA_ARGS__);                                                                \
    }

static int result(long value)
{
    return value < 0 ? -errno : 0;
}

/* Files. */
CALL(do_open, syscall(SYS_open, "/etc/passwd", O_RDONLY))
CALL(do_openat, syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY))
CALL(do_openat_root, syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY))
CALL(do_openat_program, syscall(SYS_openat, AT_FDCWD, "/proc/self/exe", O_RDONLY))
CALL(do_openat_self_memory, syscall(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR))
CALL(do_openat_init_memory, syscall(SYS_openat, AT_FDCWD, "/proc/1/environ", O_RDONLY))
CALL(do_openat_kernel, syscall(SYS_openat, AT_FDCWD, "/proc/sys/kernel/hostname", O_WRONLY))
CALL(do_openat_device, syscall(SYS_openat, AT_FDCWD, "/dev/kmsg", O_RDONLY))
CALL(do_open_temporary, syscall(SYS_openat, AT_FDCWD, "/mnt", O_TMPFILE | O_RDWR, 0600))
CALL(do_creat, syscall(SYS_openat, AT_FDCWD, "/mnt/attack", O_CREAT | O_RDWR, 0600))
CALL(do_mkdir, syscall(SYS_mkdirat, AT_FDCWD, "/mnt/attack.d", 0700))
CALL(do_symlink, syscall(SYS_symlinkat, "/etc/shadow", AT_FDCWD, "/mnt/attack.l"))
CALL(do_mknod, syscall(SYS_mknodat, AT_FDCWD, "/mnt/attack.n", S_IFCHR | 0600, 0x103))
CALL(do_chmod, syscall(SYS_fchmodat, AT_FDCWD, "/proc/self/exe", 0755))
CALL(do_fchmod, syscall(SYS_fchmod, 1, 0666))
CALL(do_chdir, syscall(SYS_chdir, "/"))
CALL(do_stat, syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", (char[256]){0}, 0))
CALL(do_readlink, syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", (char[256]){0}, 256UL))
CALL(do_inotify, syscall(SYS_inotify_init1, 0))
CALL(do_fanotify, syscall(SYS_fanotify_init, 0, O_RDONLY))

ATTACK(do_openat2)
{
    (void)target;
    struct open_how how = {.flags = O_RDONLY};
    return result(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", &how, sizeof(how)));
}

/* The first half of the escape that open_by_handle_at makes possible (CAP_DAC_READ_SEARCH). */
ATTACK(do_name_to_handle)
{
    (void)target;
    struct {
        struct file_handle head;
        unsigned char room[128];
    } handle = {.head = {.handle_bytes = 128}};
    int mount_id;
    return result(syscall(SYS_name_to_handle_at, AT_FDCWD, "/etc/passwd", &handle, &mount_id, 0));
}

ATTACK(do_open_by_handle)
{
    (void)target;
    struct {
        struct file_handle head;
        unsigned char room[128];
    } handle = {.head = {.handle_bytes = 8, .handle_type = 1}, .room = {2}};
    return result(syscall(SYS_open_by_handle_at, AT_FDCWD, &handle, O_RDONLY));
}

/* Sockets. */
CALL(socket_unix, socket(AF_UNIX, SOCK_STREAM, 0))
CALL(socket_inet, socket(AF_INET, SOCK_STREAM, 0))
CALL(socket_inet_datagram, socket(AF_INET, SOCK_DGRAM, 0))
CALL(socket_inet6, socket(AF_INET6, SOCK_STREAM, 0))
CALL(socket_raw, socket(AF_INET, SOCK_RAW, 1))
CALL(socket_packet, socket(AF_PACKET, SOCK_RAW, 0))
CALL(socket_netlink, socket(AF_NETLINK, SOCK_RAW, 0))
CALL(socket_alg, socket(AF_ALG, SOCK_SEQPACKET, 0))
CALL(socket_vsock, socket(AF_VSOCK, SOCK_STREAM, 0))
CALL(socket_bluetooth, socket(AF_BLUETOOTH, SOCK_RAW, 0))
CALL(do_socketpair, socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0}))
CALL(do_accept, syscall(SYS_accept4, 2, NULL, NULL, 0))

static int connect_path(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return -errno;
    return result(connect(fd, (struct sockaddr *)&address, sizeof(address)));
}

ATTACK(connect_other_channel)
{
    return connect_path(target->other_channel);
}

ATTACK(connect_x11)
{
    return connect_path(target->x11);
}

ATTACK(connect_again)
{
    (void)target;
    return connect_path("/channel");
}

/* connect(2) on what is open: a filter may only have thought of new sockets. */
ATTACK(connect_open_descriptor)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", target->other_channel);
    return result(connect(0, (struct sockaddr *)&address, sizeof(address)));
}

/* Other processes. Signal 0 asks whether one could be sent. */
CALL(trace_me, ptrace(PTRACE_TRACEME, 0, NULL, NULL))
CALL(signal_all, kill(-1, 0))
CALL(thread_signal, syscall(SYS_tgkill, getpid(), getpid(), 0))

ATTACK(trace_other)
{
    return result(ptrace(PTRACE_SEIZE, target->victim, NULL, NULL));
}

ATTACK(signal_other)
{
    return result(kill(target->victim, 0));
}

ATTACK(signal_by_pidfd)
{
    long fd = syscall(SYS_pidfd_open, target->victim, 0);
    return fd < 0 ? -errno : result(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
}

ATTACK(take_descriptor)
{
    long fd = syscall(SYS_pidfd_open, target->victim, 0);
    return fd < 0 ? -errno : result(syscall(SYS_pidfd_getfd, fd, 0, 0));
}

/* Nothing lies at 4096: EFAULT unconfined tells that only the address was wrong. */
static int memory_access(long number, pid_t pid)
{
    char byte = 0;
    struct iovec here = {&byte, 1};
    struct iovec there = {(void *)(uintptr_t)4096, 1};
    if (syscall(number, pid, &here, 1UL, &there, 1UL, 0UL) < 0)
        return errno == EFAULT ? 0 : -errno;
    return 0;
}

ATTACK(read_memory)
{
    return memory_access(SYS_process_vm_readv, target->victim);
}

ATTACK(write_memory)
{
    return memory_access(SYS_process_vm_writev, target->victim);
}

/* Mounts and namespaces. */
CALL(do_mount, mount("tmpfs", "/proc", "tmpfs", 0, NULL))
CALL(do_umount, umount2("/proc", MNT_DETACH))
CALL(do_pivot, syscall(SYS_pivot_root, "/", "/"))
CALL(do_chroot, chroot("/"))
CALL(do_fsopen, syscall(SYS_fsopen, "tmpfs", 0))
CALL(do_open_tree, syscall(SYS_open_tree, AT_FDCWD, "/", 1))
CALL(do_mount_setattr, mount_setattr(AT_FDCWD, "/", 0, &(struct mount_attr){0}, 32))
CALL(unshare_user, unshare(CLONE_NEWUSER))
CALL(unshare_mount, unshare(CLONE_NEWNS))
CALL(unshare_net, unshare(CLONE_NEWNET))
CALL(unshare_files, unshare(CLONE_FILES))
CALL(do_sethostname, sethostname("attack", 6))

ATTACK(do_setns)
{
    long fd = syscall(SYS_pidfd_open, target->victim, 0);
    return result(syscall(SYS_setns, fd < 0 ? 1 : fd, CLONE_NEWIPC));
}

/* Identity and privileges. The id 1 is another than the worker's, and not root's. */
CALL(do_setuid, syscall(SYS_setuid, 0))
CALL(do_setgid, syscall(SYS_setgid, 0))
CALL(do_setreuid, syscall(SYS_setreuid, 1, 1))
CALL(do_setresuid, syscall(SYS_setresuid, 1, 1, 1))
CALL(do_setresgid, syscall(SYS_setresgid, 1, 1, 1))
CALL(do_setgroups, syscall(SYS_setgroups, 1, (gid_t[]){1}))
CALL(do_setpgid, syscall(SYS_setpgid, 0, 0))
CALL(undo_no_new_privs, prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0))
CALL(become_dumpable, prctl(PR_SET_DUMPABLE, 1))
CALL(outlive_parent, prctl(PR_SET_PDEATHSIG, 0))
CALL(raise_ambient, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0))
CALL(move_break, prctl(PR_SET_MM, PR_SET_MM_BRK, 4096, 0, 0))
CALL(raise_limit, setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}))
CALL(get_affinity, syscall(SYS_sched_getaffinity, 0, 8UL, &(uint64_t){0}))

ATTACK(setfs_root)
{
    (void)target;
    errno = EPERM;
    setfsuid(0);
    return setfsuid((uid_t)-1) == 0 ? 0 : -errno;
}

ATTACK(do_capset)
{
    (void)target;
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{.effective = 1, .permitted = 1}};
    return result(syscall(SYS_capset, &head, data));
}

ATTACK(seccomp_again)
{
    (void)target;
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &allow};
    return result(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

/* Wide kernel interfaces. */
CALL(do_keyctl, syscall(SYS_keyctl, 0, -3, 1))
CALL(do_add_key, syscall(SYS_add_key, "user", "attack", "x", 1UL, -3))
CALL(do_request_key, syscall(SYS_request_key, "user", "attack", NULL, -3))
CALL(do_userfaultfd, syscall(SYS_userfaultfd, 0))
CALL(do_io_setup, syscall(SYS_io_setup, 1, &(unsigned long){0}))
CALL(do_memfd, syscall(SYS_memfd_create, "attack", 0))
CALL(do_syslog, syscall(SYS_syslog, 10, NULL, 0))
CALL(do_reboot, syscall(SYS_reboot, 0, 0, 0, NULL))
CALL(do_kexec, syscall(SYS_kexec_load, 0, 0, NULL, 0))
CALL(do_init_module, syscall(SYS_init_module, "", 0UL, ""))
CALL(do_settime, syscall(SYS_settimeofday, NULL, NULL))
CALL(do_ioctl, ioctl(2, FIONREAD, &(int){0}))
CALL(steal_terminal, ioctl(0, TIOCSTI, "x"))
CALL(set_append, fcntl(2, F_SETFL, 0))
CALL(own_signals, fcntl(2, F_SETOWN, getpid()))
CALL(do_shmget, syscall(SYS_shmget, 0, 4096UL, 01000 | 0600))
CALL(do_semget, syscall(SYS_semget, 0, 1, 01000 | 0600))
CALL(do_msgget, syscall(SYS_msgget, 0, 01000 | 0600))
CALL(do_mq_open, syscall(SYS_mq_open, "attack", O_CREAT | O_RDWR, 0600, NULL))
CALL(do_timer, syscall(SYS_timer_create, 1, NULL, &(int){0}))
CALL(do_uname, syscall(SYS_uname, (char[512]){0}))
CALL(unknown_call, syscall(4095))

ATTACK(do_bpf)
{
    (void)target;
    union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY};
    attr.key_size = attr.value_size = attr.max_entries = 4;
    return result(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}

ATTACK(do_io_uring)
{
    (void)target;
    struct io_uring_params params = {0};
    return result(syscall(SYS_io_uring_setup, 1, &params));
}

ATTACK(do_perf)
{
    (void)target;
    struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr)};
    return result(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0UL));
}

/* clang-format off */
const struct attack attacks_calls[] = {
    {"open", do_open, true, true},
    {"openat", do_openat, true, true},
    {"openat2", do_openat2, true, true},
    {"openat /", do_openat_root, true, true},
    {"openat own program", do_openat_program, true, true},
    {"openat /proc/self/mem", do_openat_self_memory, true, true},
    {"openat /proc/1/environ", do_openat_init_memory, false, false},
    {"openat /proc/sys", do_openat_kernel, true, true},
    {"openat /dev/kmsg", do_openat_device, true, true},
    {"openat O_TMPFILE", do_open_temporary, true, true},
    {"openat O_CREAT", do_creat, true, true},
    {"mkdirat", do_mkdir, true, true},
    {"symlinkat", do_symlink, true, true},
    {"mknodat", do_mknod, true, true},
    {"fchmodat own program", do_chmod, true, true},
    {"fchmod", do_fchmod, true, false},
    {"chdir", do_chdir, true, false},
    {"newfstatat", do_stat, true, true},
    {"readlinkat", do_readlink, true, false},
    {"inotify_init1", do_inotify, true, false},
    {"fanotify_init", do_fanotify, true, true},
    {"name_to_handle_at", do_name_to_handle, true, true},
    {"open_by_handle_at", do_open_by_handle, false, true},
    {"socket AF_UNIX", socket_unix, true, false},
    {"socket AF_INET", socket_inet, true, false},
    {"socket AF_INET datagram", socket_inet_datagram, true, false},
    {"socket AF_INET6", socket_inet6, true, false},
    {"socket SOCK_RAW", socket_raw, true, true},
    {"socket AF_PACKET", socket_packet, true, true},
    {"socket AF_NETLINK", socket_netlink, true, false},
    {"socket AF_ALG", socket_alg, true, false},
    {"socket AF_VSOCK", socket_vsock, true, false},
    {"socket AF_BLUETOOTH", socket_bluetooth, true, false},
    {"socketpair", do_socketpair, true, false},
    {"accept4", do_accept, false, true},
    {"connect another channel", connect_other_channel, true, true},
    {"connect X", connect_x11, true, true},
    {"connect own channel again", connect_again, false, false},
    {"connect an open descriptor", connect_open_descriptor, false, true},
    {"ptrace PTRACE_TRACEME", trace_me, true, false},
    {"ptrace PTRACE_SEIZE", trace_other, true, true},
    {"kill another", signal_other, true, true},
    {"kill -1", signal_all, true, false},
    {"tgkill", thread_signal, true, false},
    {"pidfd_send_signal", signal_by_pidfd, true, true},
    {"pidfd_getfd", take_descriptor, true, true},
    {"process_vm_readv", read_memory, true, true},
    {"process_vm_writev", write_memory, true, true},
    {"mount", do_mount, true, true},
    {"umount2", do_umount, true, true},
    {"pivot_root", do_pivot, false, true},
    {"chroot", do_chroot, true, true},
    {"fsopen", do_fsopen, true, true},
    {"open_tree", do_open_tree, true, true},
    {"mount_setattr", do_mount_setattr, true, true},
    {"unshare CLONE_NEWUSER", unshare_user, false, false},
    {"unshare CLONE_NEWNS", unshare_mount, true, true},
    {"unshare CLONE_NEWNET", unshare_net, true, true},
    {"unshare CLONE_FILES", unshare_files, true, false},
    {"setns", do_setns, true, true},
    {"sethostname", do_sethostname, true, true},
    {"setuid", do_setuid, true, true},
    {"setgid", do_setgid, true, true},
    {"setreuid", do_setreuid, true, true},
    {"setresuid", do_setresuid, true, true},
    {"setresgid", do_setresgid, true, true},
    {"setgroups", do_setgroups, true, true},
    {"setfsuid", setfs_root, true, true},
    {"setpgid", do_setpgid, true, false},
    {"capset", do_capset, true, true},
    {"prctl PR_SET_NO_NEW_PRIVS", undo_no_new_privs, false, true},
    {"prctl PR_SET_DUMPABLE", become_dumpable, true, false},
    {"prctl PR_SET_PDEATHSIG", outlive_parent, true, false},
    {"prctl PR_CAP_AMBIENT", raise_ambient, false, true},
    {"prctl PR_SET_MM", move_break, false, true},
    {"setrlimit", raise_limit, true, false},
    {"sched_getaffinity", get_affinity, true, false},
    {"seccomp", seccomp_again, true, false},
    {"bpf", do_bpf, true, true},
    {"io_uring_setup", do_io_uring, true, false},
    {"io_setup", do_io_setup, true, false},
    {"perf_event_open", do_perf, true, false},
    {"userfaultfd", do_userfaultfd, true, true},
    {"keyctl", do_keyctl, true, false},
    {"add_key", do_add_key, true, false},
    {"request_key", do_request_key, false, true},
    {"memfd_create", do_memfd, true, false},
    {"syslog", do_syslog, true, true},
    {"reboot", do_reboot, false, true},
    {"kexec_load", do_kexec, false, true},
    {"init_module", do_init_module, false, true},
    {"settimeofday", do_settime, true, false},
    {"ioctl", do_ioctl, true, false},
    {"ioctl TIOCSTI", steal_terminal, false, true},
    {"fcntl F_SETFL", set_append, true, false},
    {"fcntl F_SETOWN", own_signals, true, false},
    {"shmget", do_shmget, true, false},
    {"semget", do_semget, true, false},
    {"msgget", do_msgget, true, false},
    {"mq_open", do_mq_open, true, true},
    {"timer_create", do_timer, true, false},
    {"uname", do_uname, true, false},
    {"a call that does not exist", unknown_call, false, true},
    {NULL, NULL, false, false},
};
/* clang-format on */

const struct attack *attack_find(const char *name)
{
    const struct attack *const lists[] = {attacks_calls, attacks_code};
    for (size_t i = 0; i < 2; i++)
        for (const struct attack *attack = lists[i]; attack->name != NULL; attack++)
            if (strcmp(attack->name, name) == 0)
                return attack;
    return NULL;
}

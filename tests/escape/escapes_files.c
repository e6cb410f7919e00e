#include "escapes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks.h"

#define ESCAPE(name) static int name(const struct escape_target *target)

static int result(long value)
{
    return value < 0 ? -errno : 0;
}

int escape_read(int fd)
{
    char text[65536];
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, text, sizeof(text));
    int error = n < 0 ? -errno : -ENODATA;
    close(fd);
    return n > 0 && memmem(text, (size_t)n, "SECRET", 6) != NULL ? 0 : error;
}

static int read_path(const char *path)
{
    return escape_read(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
}

/* `head`, then a path that is absolute itself. */
static int read_below(const char *head, const char *path)
{
    char whole[1024];
    snprintf(whole, sizeof(whole), "%s%s", head, path);
    return read_path(whole);
}

/* 0 if anything could be read there, whatever it is. */
static int read_any(const char *path)
{
    char text[8192];
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, text, sizeof(text));
    int error = n < 0 ? -errno : n == 0 ? -ENODATA : 0;
    close(fd);
    return error;
}

static int write_open(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

/* A file that can be made there is removed again. */
static int make_in(const char *folder)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/cloister-escape", folder);
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    close(fd);
    unlink(path);
    return 0;
}

/* ---------------------------------------------------------------- other users' files */

ESCAPE(read_secret)
{
    return read_path(target->secret);
}

ESCAPE(read_exposed)
{
    return read_path(target->exposed);
}

ESCAPE(read_by_init)
{
    return read_below("/proc/1/root", target->exposed);
}

ESCAPE(read_by_init_folder)
{
    return read_below("/proc/1/cwd/../../../../../..", target->exposed);
}

ESCAPE(read_by_victim)
{
    char head[64];
    snprintf(head, sizeof(head), "/proc/%d/root", target->victim);
    return read_below(head, target->exposed);
}

/* Whatever process is to be seen. */
ESCAPE(read_by_any_process)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    int error = -ENOENT;
    while (proc != NULL && error != 0 && (entry = readdir(proc)) != NULL) {
        char head[300];
        if (atoi(entry->d_name) == 0)
            continue;
        snprintf(head, sizeof(head), "/proc/%s/root", entry->d_name);
        error = read_below(head, target->exposed);
        snprintf(head, sizeof(head), "/proc/%s/cwd/../../../../../..", entry->d_name);
        if (error != 0)
            error = read_below(head, target->exposed);
    }
    if (proc != NULL)
        closedir(proc);
    return error;
}

ESCAPE(read_upwards)
{
    int error = read_below("/tmp/../../../../../../../..", target->exposed);
    return error == 0 ? 0 : read_below("/proc/self/root/../../../../..", target->exposed);
}

ESCAPE(read_by_link)
{
    char text[512];
    const char *link = "/tmp/cloister-escape-link";
    snprintf(text, sizeof(text), "/proc/self/root/../../../..%s", target->exposed);
    unlink(link);
    int error = symlink(text, link) != 0 ? -errno : read_path(link);
    unlink(link);
    return error;
}

/* What somebody left open: files, and folders to climb from. */
ESCAPE(read_left_open)
{
    char path[512];
    snprintf(path, sizeof(path), "../../../../../../..%s", target->exposed);
    for (int fd = 3; fd < 1024; fd++) {
        int error = escape_read(openat(fd, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
        if (error == 0)
            return 0;
        if (fchdir(fd) == 0 && read_path(path) == 0)
            return 0;
    }
    return -EBADF;
}

ESCAPE(read_any_left_open)
{
    (void)target;
    char byte;
    for (int fd = 3; fd < 1024; fd++)
        if (pread(fd, &byte, 1, 0) == 1)
            return 0;
    return -EBADF;
}

#define READ(name, path)                                                                           \
    ESCAPE(name)                                                                                   \
    {                                                                                              \
        (void)target;                                                                              \
        return read_any(path);                                                                     \
    }

READ(read_shadow, "/etc/shadow")
READ(read_group_shadow, "/etc/gshadow")
READ(read_memory_device, "/dev/mem")
READ(read_kernel_log, "/dev/kmsg")
READ(read_kernel_memory, "/proc/kcore")
READ(read_kernel_messages, "/proc/kmsg")
READ(read_debug, "/sys/kernel/debug/sched/features")

ESCAPE(list_home)
{
    (void)target;
    return read_any("/root/.profile") == 0 || access("/home", F_OK) == 0 ? 0 : -ENOENT;
}

ESCAPE(find_agent)
{
    (void)target;
    static const char *const places[] = {
        "/run", "/var/run", "/var/lib/cloister", "/root", "/home", "/srv", "/mnt", "/boot"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (access(places[i], R_OK) == 0)
            return 0;
    return -ENOENT;
}

ESCAPE(read_victims_environment)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/environ", target->victim);
    return read_path(path);
}

ESCAPE(read_victims_memory)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/mem", target->victim);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return result(fd);
}

/* ---------------------------------------------------------------- the root */

/* Out of a chroot below a folder that one stands above. */
ESCAPE(climb_out)
{
    char path[512];
    snprintf(path, sizeof(path), ".%s", target->exposed);
    mkdir("/tmp/cloister-escape.d", 0700);
    int above = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (above < 0 || chroot("/tmp/cloister-escape.d") != 0 || fchdir(above) != 0)
        return -errno;
    for (int i = 0; i < 64; i++)
        if (chdir("..") != 0)
            return -errno;
    return chroot(".") != 0 ? -errno : read_path(path);
}

ESCAPE(pivot)
{
    (void)target;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/tmp", "tmpfs", 0, NULL) != 0 || chdir("/tmp") != 0)
        return -errno;
    return result(syscall(SYS_pivot_root, ".", "."));
}

static int hex(char c)
{
    return c >= 'a' ? c - 'a' + 10 : c - '0';
}

/* The host's root directory by its handle, from any file of the same file system. */
ESCAPE(open_root_by_handle)
{
    struct {
        struct file_handle head;
        unsigned char room[128];
    } handle = {.head = {.handle_type = atoi(target->root)}};
    const char *text = strchr(target->root, ':') + 1;
    for (; text[0] != '\0' && handle.head.handle_bytes < 128; text += 2)
        handle.room[handle.head.handle_bytes++] = (unsigned char)(hex(text[0]) << 4 | hex(text[1]));
    int from = open("/usr", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long fd = syscall(SYS_open_by_handle_at, from, &handle, O_RDONLY | O_DIRECTORY);
    int error = fd < 0 ? -errno : 0;
    return error;
}

ESCAPE(bind_root)
{
    (void)target;
    return result(mount("/", "/tmp", NULL, MS_BIND | MS_REC, NULL));
}

ESCAPE(clone_tree)
{
    (void)target;
    return result(syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE));
}

ESCAPE(mount_devices)
{
    (void)target;
    return result(mount("devtmpfs", "/tmp", "devtmpfs", 0, NULL));
}

ESCAPE(mount_proc_anew)
{
    (void)target;
    return result(mount("proc", "/tmp", "proc", 0, NULL));
}

ESCAPE(mount_in_parts)
{
    (void)target;
    long fs = syscall(SYS_fsopen, "tmpfs", 0);
    if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
        return -errno;
    return result(syscall(SYS_fsmount, fs, 0, 0));
}

ESCAPE(uncover)
{
    (void)target;
    return result(umount2("/proc", MNT_DETACH));
}

ESCAPE(make_writable)
{
    (void)target;
    struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};
    if (mount(NULL, "/proc", NULL, MS_REMOUNT | MS_BIND, NULL) == 0)
        return 0;
    return result(syscall(SYS_mount_setattr, AT_FDCWD, "/proc", 0, &attr, sizeof(attr)));
}

/* The disk that the root lies on. */
ESCAPE(make_disk)
{
    (void)target;
    struct stat status;
    const char *node = "/tmp/cloister-escape-disk";
    if (stat("/usr", &status) != 0)
        return -errno;
    unlink(node);
    int error = result(mknod(node, S_IFBLK | 0600, status.st_dev));
    unlink(node);
    return error;
}

/* ---------------------------------------------------------------- writing */

#define WRITE(name, path)                                                                          \
    ESCAPE(name)                                                                                   \
    {                                                                                              \
        (void)target;                                                                              \
        return write_open(path);                                                                   \
    }
#define MAKE(name, folder)                                                                         \
    ESCAPE(name)                                                                                   \
    {                                                                                              \
        (void)target;                                                                              \
        return make_in(folder);                                                                    \
    }

WRITE(write_accounts, "/etc/passwd")
WRITE(write_program, "/bin/false")
WRITE(write_hostname, "/proc/sys/kernel/hostname")
WRITE(write_core_pattern, "/proc/sys/kernel/core_pattern")
WRITE(write_sysrq, "/proc/sysrq-trigger")
WRITE(write_uevent, "/sys/power/state")
WRITE(write_module_parameter, "/sys/kernel/mm/transparent_hugepage/enabled")
WRITE(write_own_score, "/proc/self/oom_score_adj")
WRITE(write_own_map, "/proc/self/uid_map")
WRITE(write_own_memory, "/proc/self/mem")
MAKE(make_in_root, "/")
MAKE(make_in_etc, "/etc")
MAKE(make_in_usr, "/usr/local/bin")
MAKE(make_in_dev, "/dev")
MAKE(make_in_log, "/var/log")
MAKE(make_in_shared_memory, "/dev/shm")

ESCAPE(own_a_file)
{
    (void)target;
    return result(chown("/etc/hostname", 0, 0));
}

ESCAPE(change_mode)
{
    (void)target;
    struct stat status;
    if (stat("/etc/passwd", &status) != 0)
        return -errno;
    return result(chmod("/etc/passwd", status.st_mode & 07777));
}

ESCAPE(change_attributes)
{
    (void)target;
    int flags = 0;
    int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0)
        return -errno;
    return result(ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

/* ---------------------------------------------------------------- programs of its own */

static char own_program[] = "/tmp/cloister-escape-program";

static int copy_program(const char *from)
{
    char text[65536];
    ssize_t n = 0;
    int in = open(from, O_RDONLY | O_CLOEXEC);
    unlink(own_program);
    int out = open(own_program, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0755);
    int error = in < 0 || out < 0 ? -errno : 0;
    while (error == 0 && (n = read(in, text, sizeof(text))) > 0)
        if (write(out, text, (size_t)n) != n)
            error = -EIO;
    close(in);
    close(out);
    return n < 0 ? -EIO : error;
}

/* 0 if the program ran and ended with 0; its output is thrown away. */
static int run(const char *path, char *const *argv)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execv(path, argv);
        _exit(126);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EACCES;
}

ESCAPE(run_own_copy)
{
    (void)target;
    int error = copy_program("/bin/true");
    return error != 0 ? error : run(own_program, (char *[]){own_program, NULL});
}

ESCAPE(run_own_script)
{
    (void)target;
    unlink(own_program);
    int fd = open(own_program, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0755);
    if (fd < 0 || write(fd, "#!/bin/true\n", 12) != 12 || close(fd) != 0)
        return -errno;
    return run(own_program, (char *[]){own_program, NULL});
}

/* The loader maps it, although it may not be executed. */
ESCAPE(run_by_loader)
{
    (void)target;
    char loader[] = LOADER;
    int error = copy_program("/bin/true");
    return error != 0 ? error : run(loader, (char *[]){loader, own_program, NULL});
}

ESCAPE(map_own_file)
{
    (void)target;
    int error = copy_program("/bin/true");
    int fd = open(own_program, O_RDONLY | O_CLOEXEC);
    if (error != 0 || fd < 0)
        return error != 0 ? error : -errno;
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -errno : 0;
}

ESCAPE(run_from_memory)
{
    (void)target;
    char program[] = "true";
    char text[65536];
    int in = open("/bin/true", O_RDONLY | O_CLOEXEC);
    int out = (int)syscall(SYS_memfd_create, program, 0);
    ssize_t n = 0;
    while (out >= 0 && (n = read(in, text, sizeof(text))) > 0)
        if (write(out, text, (size_t)n) != n)
            return -EIO;
    if (out < 0 || n < 0)
        return -errno;
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", out);
    return run(path, (char *[]){program, NULL});
}

/* clang-format off */
const struct escape escapes_files[] = {
    {"read another user's file", read_secret, ESCAPE_AS_ROOT},
    {"read a file of the host's /tmp", read_exposed, ESCAPE_AS_USER},
    {"read below /proc/1/root", read_by_init, ESCAPE_UNSURE},
    {"read above /proc/1/cwd", read_by_init_folder, ESCAPE_UNSURE},
    {"read below /proc/PID/root", read_by_victim, ESCAPE_AS_ROOT},
    {"read below any process's root", read_by_any_process, ESCAPE_AS_ROOT},
    {"read with ..", read_upwards, ESCAPE_AS_USER},
    {"read by a symbolic link", read_by_link, ESCAPE_AS_USER},
    {"climb from a folder left open", read_left_open, ESCAPE_AS_ROOT},
    {"read a file left open", read_any_left_open, ESCAPE_AS_ROOT},
    {"read /etc/shadow", read_shadow, ESCAPE_AS_ROOT},
    {"read /etc/gshadow", read_group_shadow, ESCAPE_AS_ROOT},
    {"read /dev/mem", read_memory_device, ESCAPE_UNSURE},
    {"read /dev/kmsg", read_kernel_log, ESCAPE_AS_ROOT},
    {"read /proc/kcore", read_kernel_memory, ESCAPE_UNSURE},
    {"read /proc/kmsg", read_kernel_messages, ESCAPE_UNSURE},
    {"read /sys/kernel/debug", read_debug, ESCAPE_UNSURE},
    {"find a home", list_home, ESCAPE_AS_ROOT},
    {"find the agent's folders", find_agent, ESCAPE_AS_ROOT},
    {"read another process's environment", read_victims_environment, ESCAPE_AS_ROOT},
    {"open another process's memory", read_victims_memory, ESCAPE_AS_ROOT},
    {"chroot and climb", climb_out, ESCAPE_AS_ROOT},
    {"pivot_root", pivot, ESCAPE_AS_ROOT},
    {"open_by_handle_at of the host's root", open_root_by_handle, ESCAPE_AS_ROOT},
    {"mount the root elsewhere", bind_root, ESCAPE_AS_ROOT},
    {"open_tree", clone_tree, ESCAPE_AS_ROOT},
    {"mount devtmpfs", mount_devices, ESCAPE_AS_ROOT},
    {"mount proc", mount_proc_anew, ESCAPE_AS_ROOT},
    {"fsopen and fsmount", mount_in_parts, ESCAPE_AS_ROOT},
    {"umount /proc", uncover, ESCAPE_AS_ROOT},
    {"remount writable", make_writable, ESCAPE_AS_ROOT},
    {"mknod the disk", make_disk, ESCAPE_AS_ROOT},
    {"write /etc/passwd", write_accounts, ESCAPE_AS_ROOT},
    {"write /bin/false", write_program, ESCAPE_AS_ROOT},
    {"write /proc/sys/kernel/hostname", write_hostname, ESCAPE_AS_ROOT},
    {"write /proc/sys/kernel/core_pattern", write_core_pattern, ESCAPE_AS_ROOT},
    {"write /proc/sysrq-trigger", write_sysrq, ESCAPE_UNSURE},
    {"write /sys/power/state", write_uevent, ESCAPE_UNSURE},
    {"write below /sys/kernel/mm", write_module_parameter, ESCAPE_UNSURE},
    {"write /proc/self/oom_score_adj", write_own_score, ESCAPE_AS_USER},
    {"write /proc/self/uid_map", write_own_map, ESCAPE_AS_USER},
    {"write /proc/self/mem", write_own_memory, ESCAPE_AS_USER},
    {"make a file in /", make_in_root, ESCAPE_AS_ROOT},
    {"make a file in /etc", make_in_etc, ESCAPE_AS_ROOT},
    {"make a file in /usr/local/bin", make_in_usr, ESCAPE_AS_ROOT},
    {"make a file in /dev", make_in_dev, ESCAPE_AS_ROOT},
    {"make a file in /var/log", make_in_log, ESCAPE_AS_ROOT},
    {"make a file in /dev/shm", make_in_shared_memory, ESCAPE_AS_USER},
    {"chown", own_a_file, ESCAPE_AS_ROOT},
    {"chmod /etc/passwd", change_mode, ESCAPE_AS_ROOT},
    {"set a file's attributes", change_attributes, ESCAPE_UNSURE},
    {"run a copied program", run_own_copy, ESCAPE_AS_USER},
    {"run a script of its own", run_own_script, ESCAPE_AS_USER},
    {"run a copied program by the loader", run_by_loader, ESCAPE_AS_USER},
    {"map a file executable", map_own_file, ESCAPE_AS_USER},
    {"run a program from a memfd", run_from_memory, ESCAPE_AS_USER},
    {NULL, NULL, ESCAPE_UNSURE},
};

#include "escapes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ESCAPE(name) static int name(const struct escape_target *target)

static int result(long value)
{
    return value < 0 ? -errno : 0;
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

/* ---------------------------------------------------------------- the root */

/* Out of a chroot from beside it, up to the root that the exposed file's path begins at. That need
 * not be the highest: the test itself may run in a chroot. */
ESCAPE(climb_out)
{
    char path[512];
    snprintf(path, sizeof(path), ".%s", target->exposed);
    mkdir("/tmp/cloister-escape.d", 0700);
    int beside = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (beside < 0 || chroot("/tmp/cloister-escape.d") != 0 || fchdir(beside) != 0)
        return -errno;
    for (int i = 0; escape_read_path(path) != 0; i++)
        if (i == 64 || chdir("..") != 0)
            return i == 64 ? -ENOENT : -errno;
    return chroot(".") != 0 ? -errno : escape_read_path(target->exposed);
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

/* Calls `look` with each mount but /tmp, until it returns 0. */
static int each_mount(int (*look)(const char *target, const char *options))
{
    char line[8192];
    char target[4096];
    char options[1024];
    FILE *mounts = fopen("/proc/self/mounts", "re");
    int error = -ENOENT;
    while (mounts != NULL && error != 0 && fgets(line, sizeof(line), mounts) != NULL)
        if (sscanf(line, "%*s %4095s %*s %1023s", target, options) == 2 &&
            strcmp(target, "/tmp") != 0)
            error = look(target, options);
    if (mounts != NULL)
        fclose(mounts);
    return error;
}

static int make_there(const char *mounted, const char *options)
{
    (void)options;
    return make_in(mounted);
}

static int lacks_nosuid(const char *mounted, const char *options)
{
    (void)mounted;
    return strstr(options, "nosuid") == NULL ? 0 : -EPERM;
}

/* Device nodes are mounted one by one. */
static int lacks_nodev(const char *mounted, const char *options)
{
    struct stat status;
    bool device = stat(mounted, &status) == 0 && S_ISCHR(status.st_mode);
    return strstr(options, "nodev") == NULL && !device ? 0 : -EPERM;
}

ESCAPE(make_anywhere)
{
    (void)target;
    return each_mount(make_there);
}

ESCAPE(find_setuid_mount)
{
    (void)target;
    return each_mount(lacks_nosuid);
}

ESCAPE(find_device_mount)
{
    (void)target;
    return each_mount(lacks_nodev);
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
const struct escape escapes_root[] = {
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
    {"make a file on any mount", make_anywhere, ESCAPE_AS_ROOT},
    {"find a mount that heeds setuid", find_setuid_mount, ESCAPE_AS_ROOT},
    {"find a mount that heeds devices", find_device_mount, ESCAPE_AS_ROOT},
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

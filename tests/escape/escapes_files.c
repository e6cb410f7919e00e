#include "escapes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

int escape_read_path(const char *path)
{
    return escape_read(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
}

/* `head`, then a path that is absolute itself. */
static int read_below(const char *head, const char *path)
{
    char whole[1024];
    snprintf(whole, sizeof(whole), "%s%s", head, path);
    return escape_read_path(whole);
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

/* ---------------------------------------------------------------- other users' files */

ESCAPE(read_secret)
{
    return escape_read_path(target->secret);
}

ESCAPE(read_exposed)
{
    return escape_read_path(target->exposed);
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
    int error = symlink(text, link) != 0 ? -errno : escape_read_path(link);
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
        if (fchdir(fd) == 0 && escape_read_path(path) == 0)
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
    return escape_read_path(path);
}

ESCAPE(read_victims_memory)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/mem", target->victim);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return result(fd);
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
    {NULL, NULL, ESCAPE_UNSURE},
};

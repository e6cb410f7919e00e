#include "lock_check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "secret_memory.h"

#define STATUS_MAX 4096 /* bytes of /proc/PID/status; about 1,500 in Linux 6.18 */

static int open_status(struct lock_tasks *tasks, const char *task)
{
    char path[64];
    int n = snprintf(path, sizeof(path), "%s/status", task);
    if (n < 0 || (size_t)n >= sizeof(path) || tasks->count == LOCK_TASKS_MAX)
        return -E2BIG;
    int fd = openat(tasks->folder, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    tasks->status[tasks->count++] = fd;
    return 0;
}

int lock_tasks_open(struct lock_tasks *tasks)
{
    tasks->count = 0;
    tasks->folder = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tasks->folder < 0)
        return -errno;
    int copy = fcntl(tasks->folder, F_DUPFD_CLOEXEC, 0);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    if (list == NULL)
        return -errno;
    int result = 0;
    const struct dirent *entry;
    while (result == 0 && (entry = readdir(list)) != NULL)
        if (entry->d_name[0] != '.')
            result = open_status(tasks, entry->d_name);
    closedir(list);
    return result;
}

void lock_tasks_close(struct lock_tasks *tasks)
{
    for (unsigned i = 0; i < tasks->count; i++)
        close(tasks->status[i]);
    tasks->count = 0;
    if (tasks->folder >= 0)
        close(tasks->folder);
    tasks->folder = -1;
}

/* Finds the value of `name` ("Seccomp:") at the start of a line. */
static const char *field(const char *status, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = status; line != NULL && *line != '\0';) {
        if (strncmp(line, name, length) == 0)
            return line + length;
        line = strchr(line, '\n');
        if (line != NULL)
            line++;
    }
    return NULL;
}

static int number_of(const char *status, const char *name, int base, unsigned long *number)
{
    const char *value = field(status, name);
    if (value == NULL)
        return 0;
    char *end;
    *number = strtoul(value, &end, base);
    return end != value && *end == '\n';
}

static int number_is(const char *status, const char *name, int base, unsigned long wanted)
{
    unsigned long number;
    return number_of(status, name, base, &number) && number == wanted;
}

/* "Uid:\t100\t100\t100\t100": real, effective, saved, file system. */
static int is_one_account(const char *status, const char *name)
{
    const char *value = field(status, name);
    unsigned long ids[4];
    for (int i = 0; i < 4; i++) {
        if (value == NULL)
            return 0;
        char *end;
        ids[i] = strtoul(value, &end, 10);
        if (end == value)
            return 0;
        value = end;
    }
    return ids[0] != 0 && ids[0] == ids[1] && ids[0] == ids[2] && ids[0] == ids[3];
}

static int has_no_groups(const char *status)
{
    const char *value = field(status, "Groups:");
    return value != NULL && value[strspn(value, "\t ")] == '\n';
}

static int status_is_right(const char *status)
{
    static const char *const sets[] = {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"};
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
        if (!number_is(status, sets[i], 16, 0))
            return 0;
    return is_one_account(status, "Uid:") && is_one_account(status, "Gid:") &&
           has_no_groups(status) && number_is(status, "NoNewPrivs:", 10, 1);
}

/* The kernel counts filters as well as it tells the mode, which alone would say nothing in a
 * container that has a filter of its own. */
static int seccomp_is_right(struct lock_tasks *tasks, unsigned task, const char *status,
                            bool locked)
{
    unsigned long filters;
    if (!number_of(status, "Seccomp_filters:", 10, &filters))
        return 0;
    if (locked)
        return filters == tasks->filters + 1 && number_is(status, "Seccomp:", 10, 2);
    if (task == 0)
        tasks->filters = filters;
    return filters == tasks->filters;
}

/* procfs counts a process's threads in the links of its task folder: 2 + threads. */
static int folder_tasks(int folder)
{
    struct stat status;
    if (syscall(SYS_fstat, folder, &status) != 0)
        return -errno;
    return (int)status.st_nlink - 2;
}

int lock_tasks_check(struct lock_tasks *tasks, bool locked)
{
    for (unsigned i = 0; i < tasks->count; i++) {
        char status[STATUS_MAX];
        ssize_t n = pread(tasks->status[i], status, sizeof(status) - 1, 0);
        if (n < 0)
            return -errno;
        status[n] = '\0';
        if ((size_t)n == sizeof(status) - 1 || !status_is_right(status) ||
            !seccomp_is_right(tasks, i, status, locked))
            return -EPERM;
    }
    int now = folder_tasks(tasks->folder);
    if (now < 0)
        return now;
    return tasks->count > 0 && (unsigned)now == tasks->count ? 0 : -EPERM;
}

int lock_task_count(void)
{
    struct stat status;
    if (stat("/proc/self/task", &status) != 0)
        return -errno;
    return (int)status.st_nlink - 2;
}

int lock_check_process(void)
{
    int signal_number = 0;
    if (prctl(PR_GET_PDEATHSIG, &signal_number) != 0)
        return -errno;
    if (signal_number != SIGKILL || prctl(PR_GET_DUMPABLE) != 0)
        return -EPERM;
    const int locked = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                       SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                       SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    return prctl(PR_GET_SECUREBITS) == locked ? 0 : -EPERM;
}

/* What a descriptor without a path may be, by the name that procfs gives it. */
static int is_anonymous(const char *name)
{
    static const char *const kinds[] = {
        "socket:[",           "pipe:[",  "anon_inode:[event", "anon_inode:[timerfd]",
        "anon_inode:[signal", "/memfd:", "/secretmem",
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strncmp(name, kinds[i], strlen(kinds[i])) == 0)
            return 1;
    return 0;
}

/* Its path may lie outside the private root, so its number tells. */
static int is_null(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

static int descriptor_is_expected(const struct sandbox_filter *filter, DIR *list, const char *entry)
{
    char *end;
    long fd = strtol(entry, &end, 10);
    if (*end != '\0' || fd == dirfd(list) || fd == secret_descriptor())
        return *end == '\0';
    if (fd >= 3 && (size_t)(fd - 3) < filter->descriptor_count)
        return 1;
    char name[128];
    ssize_t n = readlinkat(dirfd(list), entry, name, sizeof(name) - 1);
    if (n < 0)
        return 0;
    name[n] = '\0';
    return is_anonymous(name) || (fd < 3 && is_null((int)fd));
}

int lock_check_descriptors(const struct sandbox_filter *filter)
{
    DIR *list = opendir("/proc/self/fd");
    if (list == NULL)
        return -errno;
    int result = 0;
    const struct dirent *entry;
    while (result == 0 && (entry = readdir(list)) != NULL)
        if (entry->d_name[0] != '.' && !descriptor_is_expected(filter, list, entry->d_name))
            result = -EPERM;
    closedir(list);
    return result;
}

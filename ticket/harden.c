#include "harden.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "landlock.h"
#include "ticket_filter.h"

/* What stays of the environment; anything longer or unprintable goes too. */
static const char *const kept_names[] = {"DISPLAY", "XAUTHORITY", "HOME",
                                         "TERM",    "COLORTERM",  "TZ"};
enum { THREADS_MAX = 128 };
enum { KEPT = sizeof(kept_names) / sizeof(*kept_names), VALUE_MAX = 255 };

static int fail(const char **step, const char *name)
{
    *step = name;
    return errno ? -errno : -EPERM;
}

static bool is_plain(const char *value)
{
    size_t length = strnlen(value, VALUE_MAX + 1);
    for (size_t i = 0; i < length; i++)
        if (value[i] < 0x20 || value[i] > 0x7e)
            return false;
    return length > 0 && length <= VALUE_MAX;
}

static int scrub_environment(void)
{
    const char *values[KEPT];
    for (int i = 0; i < KEPT; i++)
        values[i] = getenv(kept_names[i]);
    clearenv();
    for (int i = 0; i < KEPT; i++) {
        /* A TZ that names a file would be opened and parsed. */
        bool path = strcmp(kept_names[i], "TZ") == 0 && values[i] &&
                    (values[i][0] == ':' || values[i][0] == '/' || strstr(values[i], ".."));
        if (values[i] && !path && is_plain(values[i]) && setenv(kept_names[i], values[i], 1))
            return -1;
    }
    return 0;
}

static int settle_descriptors(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return -1;
    return (int)syscall(SYS_close_range, 3U, ~0U, 0U);
}

static int keep_only_memory_locking(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &head, data))
        return -1;
    const uint32_t lock = 1U << CAP_IPC_LOCK;
    data[0] = (struct __user_cap_data_struct){.effective = data[0].permitted & lock,
                                              .permitted = data[0].permitted & lock};
    data[1] = (struct __user_cap_data_struct){0};
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) && errno != EINVAL)
        return -1;
    return (int)syscall(SYS_capset, &head, data);
}

/* An inherited SIG_IGN or mask would change what poll and write report. */
static int settle_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    struct sigaction standard = {.sa_handler = SIG_DFL};
    for (int number = 1; number < 32; number++)
        if (number != SIGKILL && number != SIGSTOP && sigaction(number, &standard, NULL))
            return -1;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (sigaction(SIGPIPE, &ignore, NULL))
        return -1;
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

int harden_early(const char **step)
{
    const struct rlimit none = {0, 0};
    errno = 0;
    if (prctl(PR_SET_DUMPABLE, 0))
        return fail(step, "not dumpable");
    if (setrlimit(RLIMIT_CORE, &none))
        return fail(step, "no core files");
#ifndef CLOISTER_SANITIZE /* whose allocator has no arenas */
    if (mallopt(M_ARENA_MAX, 1) != 1)
        return fail(step, "one arena");
#endif
    if (settle_descriptors())
        return fail(step, "descriptors");
    umask(077);
    if (scrub_environment())
        return fail(step, "environment");
    if (settle_signals())
        return fail(step, "signals");
    if (keep_only_memory_locking())
        return fail(step, "capabilities");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return fail(step, "no new privileges");
    return 0;
}

#ifndef CLOISTER_SANITIZE /* whose allocator has no heap of this kind */

/* Addresses, taken as they are touched. The most is what libwebp needs for a frame of 4K in each of
 * eight threads; a machine that cannot promise it gets less. */
enum { HEAP_MOST = 1 << 30, HEAP_LEAST = 1 << 26, HEAP_PROBE = 4 << 20 };

/* Where the program break began. 0: not found. */
static uintptr_t heap_start(void)
{
    char line[512];
    uintptr_t start = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && !start && fgets(line, sizeof(line), maps))
        if (strstr(line, "[heap]"))
            start = strtoul(line, NULL, 16);
    if (maps)
        fclose(maps);
    return start;
}

/*
 * What libraries allocate for themselves (libwebp: pixels) and free without wiping it comes from a
 * heap that is reserved once, is left out of core files, and keeps what it has.
 */
static int reserve_heap(void)
{
    void *volatile probe = NULL; /* more than can be free now, so that the heap grows */
    if (mallopt(M_MMAP_MAX, 0) != 1 || mallopt(M_TRIM_THRESHOLD, -1) != 1)
        return -1;
    for (int reserve = HEAP_MOST; !probe && reserve >= HEAP_LEAST; reserve /= 2) {
        mallopt(M_TOP_PAD, reserve);
        probe = malloc(HEAP_PROBE);
    }
    uintptr_t start = heap_start(), end = (uintptr_t)sbrk(0), at = (uintptr_t)probe;
    if (!start || at < start || at >= end)
        return -1;
    free(probe);
    return madvise((void *)start, end - start, MADV_DONTDUMP);
}

#else

static int reserve_heap(void)
{
    return 0;
}

#endif

int harden_memory(const char **step)
{
    errno = 0;
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
        return fail(step, "locked memory (install the program with cap_ipc_lock)");
    if (reserve_heap())
        return fail(step, "a heap that is not dumped");
    return 0;
}

int harden_lower_group(gid_t *saved, const char **step)
{
    errno = 0;
    *saved = getegid();
    if (setegid(getgid()) || prctl(PR_SET_DUMPABLE, 0))
        return fail(step, "the user's group");
    return 0;
}

int harden_raise_group(gid_t saved, const char **step)
{
    errno = 0;
    /* The change of group may have made the process dumpable again (fs.suid_dumpable). */
    if (setegid(saved) || prctl(PR_SET_DUMPABLE, 0) || prctl(PR_GET_DUMPABLE) != 0)
        return fail(step, "the program's group");
    return 0;
}

int harden_leave_group(const char **step)
{
    gid_t own = getgid(), before = getegid(), real, effective, saved;
    errno = 0;
    /* glibc does it in every thread. It makes the process as dumpable as fs.suid_dumpable says. */
    if (setresgid(own, own, own) || prctl(PR_SET_DUMPABLE, 0) || prctl(PR_GET_DUMPABLE) != 0)
        return fail(step, "leaving the program's group");
    errno = 0;
    if (getresgid(&real, &effective, &saved) || real != own || effective != own || saved != own ||
        (before != own && setegid(before) == 0)) {
        errno = EPERM;
        return fail(step, "leaving the program's group for good");
    }
    return 0;
}

static int task_count(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/task");
    if (!folder)
        return -1;
    for (struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

int harden_files(const char **step)
{
    char own[32];
    errno = 0;
    if (task_count() != 1)
        return fail(step, "one thread");
    int abi = landlock_abi();
    if (abi < ticket_filter.landlock_minimum)
        return fail(step, "landlock");
    int ruleset = landlock_deny_all(abi, false);
    int result = ruleset < 0 ? ruleset : 0;
    /* Its own threads' status is read back by harden_calls. */
    snprintf(own, sizeof(own), "/proc/%d", getpid());
    if (!result)
        result = landlock_leave(ruleset, abi, own, POLICY_READ);
    if (!result)
        result = landlock_enter(ruleset);
    if (ruleset >= 0)
        close(ruleset);
    if (result) {
        errno = -result;
        return fail(step, "landlock");
    }
    errno = 0;
    int probe = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    if (probe >= 0 || errno != EACCES) {
        errno = EPERM;
        return fail(step, "landlock's probe");
    }
    return 0;
}

/* The status files of all threads, opened while files still can be. */
struct statuses {
    size_t count;
    int fds[THREADS_MAX];
};

static int open_statuses(struct statuses *statuses)
{
    char path[64];
    DIR *folder = opendir("/proc/self/task");
    if (!folder)
        return -1;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.' || statuses->count == THREADS_MAX)
            continue;
        snprintf(path, sizeof(path), "/proc/self/task/%.20s/status", entry->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            statuses->fds[statuses->count++] = fd;
    }
    closedir(folder);
    return statuses->count > 0 && statuses->count < THREADS_MAX ? 0 : -1;
}

/* Reads back that the filter holds in every thread, and that none is in another group than the
 * user's. Closes the files. */
static int check_statuses(const struct statuses *statuses)
{
    char text[4096], groups[64];
    int bad = 0;
    gid_t own = getgid();
    snprintf(groups, sizeof(groups), "\nGid:\t%u\t%u\t%u\t%u\n", own, own, own, own);
    for (size_t i = 0; i < statuses->count; i++) {
        ssize_t length = pread(statuses->fds[i], text, sizeof(text) - 1, 0);
        text[length > 0 ? length : 0] = '\0';
        bad |= !strstr(text, "\nSeccomp:\t2\n") || !strstr(text, "\nNoNewPrivs:\t1\n") ||
               !strstr(text, groups);
        close(statuses->fds[i]);
    }
    return bad ? -1 : 0;
}

int harden_calls(const char **step)
{
    struct statuses statuses = {.count = 0};
    struct sock_fprog program = {
        .len = ticket_filter.instructions,
        /* The kernel copies the program and does not write to it. */
        .filter = (struct sock_filter *)(uintptr_t)ticket_filter.program,
    };
    errno = 0;
    if (open_statuses(&statuses))
        return fail(step, "the threads' status");
    /* A positive result names a thread that could not be synchronised: nothing was installed. */
    long result =
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    int unlocked = check_statuses(&statuses);
    if (result != 0 || unlocked)
        return fail(step, "seccomp");
    return 0;
}

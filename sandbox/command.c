#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The number behind `name` in a status file, -1 if there is none. */
static long field(const char *status, const char *name)
{
    const char *line = strstr(status, name);
    return line == NULL ? -1 : strtol(line + strlen(name), NULL, 10);
}

/* How many filters the calling thread is under (Linux 5.9), or a negative errno. -EPERM if it is
 * not alone, or may still gain privileges. */
static long count_filters(int status)
{
    char text[4096];
    ssize_t n = pread(status, text, sizeof(text) - 1, 0);
    if (n <= 0)
        return n < 0 ? -errno : -EIO;
    text[n] = '\0';
    long filters = field(text, "\nSeccomp_filters:");
    if (field(text, "\nThreads:") != 1 || field(text, "\nNoNewPrivs:") != 1 || filters < 0 ||
        field(text, "\nSeccomp:") != (filters > 0 ? SECCOMP_MODE_FILTER : SECCOMP_MODE_DISABLED))
        return -EPERM;
    return filters;
}

static int install(const struct sandbox_filter *filter, int status)
{
    struct sock_fprog program = {
        .len = filter->instructions,
        /* The kernel copies the program and does not write to it. */
        .filter = (struct sock_filter *)(uintptr_t)filter->program,
    };
    long before = count_filters(status);
    if (before < 0)
        return (int)before;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        return -errno;
    long after = count_filters(status);
    if (after < 0)
        return (int)after;
    return after == before + 1 ? 0 : -EPERM;
}

int sandbox_command(const struct sandbox_filter *filter)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    int status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (status < 0)
        return -errno;
    int result = install(filter, status);
    close(status);
    return result;
}

/*
 * Tells what it was launched with, before its lock and after it, one fact per line.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hostile.h"
#include "launched_filter.h"
#include "lock.h"
#include "test_words.h"

static __attribute__((format(printf, 1, 2))) void say(const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    line[n++] = '\n';
    if (write(2, line, (size_t)n) != n)
        _exit(HOSTILE_BROKEN);
}

static void try_open(const char *when, const char *path, int flags)
{
    long fd = syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600);
    say("%s %s: %s", when, path, fd < 0 ? strerror(errno) : "opened");
    if (fd >= 0)
        close((int)fd);
}

static void tell_descriptors(void)
{
    char text[256];
    ssize_t n = pread(3, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    say("first: %s", n < 0 ? strerror(errno) : text);
    n = read(4, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = '\0';
    say("xauthority: %zd bytes \"%.16s\" seals 0x%x", n, text, (unsigned)fcntl(4, F_GET_SEALS));
    say("last: %s", fcntl(5, F_GETFD) < 0 ? "closed" : "open");
}

static void tell_process(char **argv)
{
    char host[64];
    struct rlimit limit;
    char folder[64];
    gethostname(host, sizeof(host));
    getrlimit(RLIMIT_NOFILE, &limit);
    say("argv: %s, %s", argv[0], argv[1] == NULL ? "no more" : argv[1]);
    say("environment: %s", environ[0] == NULL ? "empty" : environ[0]);
    say("uid: %u host: %s nofile: %lu pid: %d", getuid(), host, (unsigned long)limit.rlim_max,
        getpid());
    say("folder: %s", getcwd(folder, sizeof(folder)) ? folder : "none");
}

static void try_files(const char *when)
{
    try_open(when, "/etc/passwd", O_RDONLY);
    try_open(when, "/etc/cloister-no-such-file", O_RDONLY);
    try_open(when, "/dev/zero", O_RDWR);
    try_open(when, "/scratch/made", O_CREAT | O_RDWR);
    try_open(when, "/state/made", O_CREAT | O_RDWR);
    try_open(when, "/made", O_CREAT | O_RDWR);
    try_open(when, "/etc/passwd", O_RDWR);
    say("%s mkdir /state/folder: %s", when,
        syscall(SYS_mkdirat, AT_FDCWD, "/state/folder", 0700) == 0 ? "made" : strerror(errno));
}

int main(int argc, char **argv)
{
    char *words[TEST_WORDS_MAX + 1];
    struct sandbox_report report;
    if (argc != 1 || test_words(words) != 1)
        return HOSTILE_BROKEN;
    int error = sandbox_early();
    if (error != 0)
        return HOSTILE_NOT_LOCKED;
    tell_process(argv);
    tell_descriptors();
    try_files("before");
    size_t size = 32U << 20;
    char *large = locked_alloc(size);
    say("locked 32 MiB: %s", large ? "yes" : strerror(errno));
    if (large != NULL)
        large[size - 1] = 1;
    error = sandbox_lock(&launched_filter, &report);
    if (error != 0) {
        say("%s: %s", report.stage, strerror(-error));
        _exit(HOSTILE_NOT_LOCKED);
    }
    try_files("after");
    say("locked");
    locked_free(large, size);
    char byte;
    while (strcmp(words[0], "wait") == 0 && read(0, &byte, 1) > 0)
        continue;
    _exit(0);
}

#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "environment.h"
#include "monitor_protocol.h"
#include "shebang.h"
#include "whole_io.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* include/uapi/linux/memfd.h of Linux 6.3 */
#endif

#define REPORT_FD 4
#define ASIDE_FD  16 /* above every descriptor that is put in place */

/* ---------------------------------------------------------------- the script */

int child_script(const struct order *order)
{
    if (order->script_length == 0)
        return -ENOENT;
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create("script", flags | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) /* an older kernel */
        fd = memfd_create("script", flags);
    if (fd < 0)
        return -errno;
    int error = whole_write(fd, order->script, order->script_length);
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    if (!error && fcntl(fd, F_ADD_SEALS, seals) != 0)
        error = -errno;
    if (error)
        close(fd);
    return error ? error : fd;
}

/* ---------------------------------------------------------------- in the child */

static __attribute__((noreturn)) void fail(int report, int error)
{
    ssize_t n = write(report, &error, sizeof error);
    _exit(n == sizeof error ? 127 : 126);
}

/* Puts a descriptor above those that are about to be put in place. */
static int aside(int report, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, ASIDE_FD);
    if (copy < 0)
        fail(report, errno);
    return copy;
}

static void put(int report, int from, int to, int flags)
{
    if (dup3(from, to, flags) != to)
        fail(report, errno);
}

/* 0, 1, 2, the script if there is one, the report; and nothing else. Returns the report's place. */
static int arrange_descriptors(const struct child *child)
{
    int report = aside(child->report, child->report);
    int script = child->script >= 0 ? aside(report, child->script) : -1;
    int ends[LINK_DESCRIPTORS];
    for (int i = 0; i < LINK_DESCRIPTORS; i++)
        ends[i] = aside(report, child->descriptors[i]);
    for (int i = 0; i < LINK_DESCRIPTORS; i++)
        put(report, ends[i], i, 0);
    if (script >= 0)
        put(report, script, CHILD_SCRIPT_FD, 0);
    else
        close(CHILD_SCRIPT_FD);
    put(report, report, REPORT_FD, O_CLOEXEC);
    if (close_range(REPORT_FD + 1, ~0U, 0) != 0)
        fail(REPORT_FD, errno);
    return REPORT_FD;
}

/* As a process that a shell starts: nothing ignored, nothing blocked. */
static void reset_signals(void)
{
    sigset_t none;
    for (int i = 1; i <= SIGRTMAX; i++)
        signal(i, SIG_DFL); /* refused for those that always have their default */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The home folder where it can be entered; the root, where everybody stands, where not. */
static void enter_folder(int report, const char *home)
{
    if ((!home || chdir(home) != 0) && chdir("/") != 0)
        fail(report, errno);
}

struct program {
    const char *path;
    const char *argv[ORDER_TEXTS_MAX + 4]; /* interpreter, its argument, the script, NULL */
    struct shebang shebang;
};

static int find_program(struct program *out, const struct order *order)
{
    size_t count = 0;
    if (order->script_length > 0) {
        int error = shebang_read(&out->shebang, order->script, order->script_length);
        if (error)
            return error;
        out->argv[count++] = out->shebang.interpreter;
        if (out->shebang.argument[0])
            out->argv[count++] = out->shebang.argument;
        out->argv[count++] = CHILD_SCRIPT_PATH;
    }
    for (uint32_t i = 0; i < order->argc; i++)
        out->argv[count++] = order->argv[i];
    out->argv[count] = NULL;
    out->path = out->argv[0];
    return 0;
}

static __attribute__((noreturn)) void execute(int report, const struct order *order,
                                              const struct environment_user *user)
{
    static struct program program;
    static struct environment environment;
    int error = find_program(&program, order);
    if (error)
        fail(report, -error);
    environment_fill(&environment, order, user);
    /* execve(2) changes neither; POSIX gives it these types for the sake of old programs. */
    execve(program.path, (char *const *)(uintptr_t)program.argv,
           (char *const *)(uintptr_t)environment.texts);
    fail(report, errno);
}

void child_run(const struct child *child)
{
    static struct environment_user account;
    const uint32_t profile = child->order->profile;
    const struct environment_user *user = profile == MONITOR_PROFILE_DIAGNOSTIC ? NULL : &account;
    int report = arrange_descriptors(child);
    reset_signals();
    umask(022);
    if (setsid() < 0)
        fail(report, errno);
    int error = user ? environment_find_user(&account) : 0;
    if (error)
        fail(report, -error);
    enter_folder(report, profile == MONITOR_PROFILE_USER ? account.home : NULL);
    execute(report, child->order, user);
}

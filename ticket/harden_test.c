/*
 * What the ticket program can no longer do once it has protected itself: hostile code in its place,
 * one attempt per process.
 */
#include "harden.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { ALLOWED = 42, DENIED = 43, BROKEN = 44 };

static void *sleeper(void *context)
{
    /* As the program's own threads, it waits by a call that the filter allows. */
    while (poll(NULL, 0, -1) < 0 && errno == EINTR)
        continue;
    return context;
}

static void must(int result, const char *step)
{
    if (result) {
        fprintf(stderr, "%s: %d\n", step, result);
        _exit(BROKEN);
    }
}

static void protect(void)
{
    const char *step = "";
    pthread_t thread;
    must(harden_early(&step), step);
    must(harden_memory(&step), step);
    must(harden_files(&step), step);
    must(pthread_create(&thread, NULL, sleeper, NULL), "thread");
    must(harden_calls(&step), step);
}

/* Whether a call failed as a refused one does. */
static int denied(long result)
{
    return result < 0 && (errno == EACCES || errno == EPERM) ? DENIED : ALLOWED;
}

static int open_file(void)
{
    return denied(open("/etc/passwd", O_RDONLY));
}

static int make_file(void)
{
    return denied(open("/tmp/cloister-ticket-harden", O_WRONLY | O_CREAT, 0600));
}

static int make_socket(void)
{
    return denied(socket(AF_INET, SOCK_STREAM, 0));
}

static int make_unix_socket(void)
{
    return denied(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int run_program(void)
{
    char *const none[] = {NULL};
    return denied(execve("/bin/true", none, none));
}

static int fork_child(void)
{
    return denied(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int new_thread(void)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, sleeper, NULL) ? DENIED : ALLOWED;
}

static int trace_parent(void)
{
    return denied(ptrace(PTRACE_ATTACH, getppid(), 0, 0));
}

static int signal_parent(void)
{
    return denied(kill(getppid(), SIGUSR1));
}

static int read_parent(void)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {&byte, 1};
    return denied(process_vm_readv(getppid(), &here, 1, &there, 1, 0));
}

static int executable_memory(void)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return denied(at == MAP_FAILED ? -1 : 0);
}

static int dumpable_again(void)
{
    return denied(prctl(PR_SET_DUMPABLE, 1));
}

static int own_group(void)
{
    return denied(setgid(getgid()));
}

static int push_into_terminal(void)
{
    char byte = 'x';
    return denied(syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, &byte));
}

static int io_ring(void)
{
    return denied(syscall(SYS_io_uring_setup, 1, NULL));
}

static const struct {
    const char *name;
    int (*attempt)(void);
} attempts[] = {
    {"open a file", open_file},
    {"make a file", make_file},
    {"make an internet socket", make_socket},
    {"make a local socket", make_unix_socket},
    {"run a program", run_program},
    {"fork", fork_child},
    {"make a thread", new_thread},
    {"trace its parent", trace_parent},
    {"signal its parent", signal_parent},
    {"read its parent's memory", read_parent},
    {"make memory executable", executable_memory},
    {"become dumpable", dumpable_again},
    {"change its group", own_group},
    {"push input into the terminal", push_into_terminal},
    {"use io_uring", io_ring},
};

static int run_protected(int (*attempt)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        protect();
        _exit(attempt());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void nothing_hostile_works(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(attempts) / sizeof(*attempts); i++) {
        int status = run_protected(attempts[i].attempt);
        int killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
        if (!killed && !(WIFEXITED(status) && WEXITSTATUS(status) == DENIED))
            fail_msg("%s: status %x", attempts[i].name, status);
    }
}

/* What the program needs goes on working, so that the above does not hold for a dead process. */
static int honest_work(void)
{
    char *large = malloc(50 << 20);
    int ends[2] = {1, 2};
    if (!large || write(ends[1], "", 0) != 0)
        return BROKEN;
    memset(large, 1, 50 << 20);
    free(large);
    return ALLOWED;
}

static void honest_work_goes_on(void **state)
{
    (void)state;
    int status = run_protected(honest_work);
    if (!WIFEXITED(status))
        fail_msg("ended by signal %d", WTERMSIG(status));
    assert_int_equal(WEXITSTATUS(status), ALLOWED);
}

static int early_state(void)
{
    const char *step;
    struct rlimit core;
    setenv("LD_PRELOAD", "/tmp/x.so", 1);
    setenv("DISPLAY", ":1", 1);
    setenv("TERM", "evil\x1b[2J", 1);
    setenv("TZ", ":/tmp/zone", 1);
    setenv("HOME", "/home/user", 1);
    int extra = open("/dev/null", O_RDONLY);
    signal(SIGCHLD, SIG_IGN);
    must(harden_early(&step), "early");
    must(getenv("LD_PRELOAD") || getenv("TERM") || getenv("TZ"), "environment");
    must(!getenv("DISPLAY") || strcmp(getenv("HOME"), "/home/user") != 0, "kept environment");
    must(prctl(PR_GET_DUMPABLE), "dumpable");
    must(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1, "no_new_privs");
    must(fcntl(extra, F_GETFD) >= 0, "descriptor");
    must(getrlimit(RLIMIT_CORE, &core) || core.rlim_cur || core.rlim_max, "core");
    must(umask(0) != 077, "umask");
    must(signal(SIGCHLD, SIG_DFL) != SIG_DFL, "signals");
    return ALLOWED;
}

/* Started without standard streams it must not take the first file that it opens for one. */
static int closed_streams(void)
{
    const char *step;
    close(0);
    close(1);
    close(2);
    if (harden_early(&step))
        return BROKEN;
    return fcntl(0, F_GETFD) >= 0 && fcntl(1, F_GETFD) >= 0 && fcntl(2, F_GETFD) >= 0 ? ALLOWED
                                                                                      : BROKEN;
}

static void starts_clean(void **state)
{
    (void)state;
    int (*const checks[])(void) = {early_state, closed_streams};
    for (int i = 0; i < 2; i++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            _exit(checks[i]());
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), ALLOWED);
    }
}

static int late_files(void)
{
    const char *step;
    pthread_t thread;
    must(harden_early(&step), "early");
    must(pthread_create(&thread, NULL, sleeper, NULL), "thread");
    return harden_files(&step) < 0 && strcmp(step, "one thread") == 0 ? ALLOWED : BROKEN;
}

static int unlocked_memory(void)
{
    const char *step;
    const struct rlimit little = {65536, 65536};
    must(setrlimit(RLIMIT_MEMLOCK, &little), "limit");
    if (geteuid() == 0)
        must(setgid(65534) || setuid(65534), "another user");
    must(harden_early(&step), "early");
    return harden_memory(&step) < 0 ? ALLOWED : BROKEN;
}

/* ---- the group that the door knows the program by ---- */

enum { USER = 65534, DOOR_GROUP = 54321 };

/* As the kernel starts a setgid program for a user. */
static void become_setgid(void)
{
    must(setgroups(0, NULL), "groups");
    must(setresgid(USER, DOOR_GROUP, DOOR_GROUP), "group");
    must(setresuid(USER, USER, USER), "user");
}

static void protect_setgid(bool leave)
{
    const char *step = "";
    pthread_t thread;
    become_setgid();
    must(harden_early(&step), step);
    must(harden_files(&step), step);
    must(getegid() != DOOR_GROUP, "the door's group");
    must(pthread_create(&thread, NULL, sleeper, NULL), "thread");
    if (leave)
        must(harden_leave_group(&step), step);
}

static int the_group_is_gone(void)
{
    const char *step = "";
    gid_t real, effective, saved;
    protect_setgid(true);
    must(getresgid(&real, &effective, &saved), "groups");
    must(real != USER || effective != USER || saved != USER, "the user's group");
    must(prctl(PR_GET_DUMPABLE), "not dumpable");
    must(setegid(DOOR_GROUP) == 0 || setresgid(-1, -1, DOOR_GROUP) == 0, "no way back");
    must(harden_calls(&step), step);
    return ALLOWED;
}

/* A process that kept it is not let through, so no display and no frame meets it. */
static int a_kept_group_stops_it(void)
{
    const char *step = "";
    protect_setgid(false);
    return harden_calls(&step) < 0 ? ALLOWED : BROKEN;
}

static int traced_by_its_user(void)
{
    const char *step = "";
    int ready[2];
    char byte;
    char path[32];
    must(pipe(ready), "pipe");
    pid_t target = fork();
    if (target == 0) {
        protect_setgid(true);
        /* harden_early has closed the pipe: that is the signal. */
        must(harden_calls(&step), step);
        sleeper(NULL);
    }
    close(ready[1]);
    must(read(ready[0], &byte, 1) != 0, "ready");
    must(usleep(300000), "locked");
    must(setgroups(0, NULL) || setresgid(USER, USER, USER) || setresuid(USER, USER, USER), "user");
    struct iovec here = {&byte, 1}, there = {&byte, 1};
    int result = denied(ptrace(PTRACE_SEIZE, target, 0, 0));
    if (result == DENIED)
        result = denied(process_vm_readv(target, &here, 1, &there, 1, 0));
    snprintf(path, sizeof(path), "/proc/%d/mem", target);
    if (result == DENIED)
        result = denied(open(path, O_RDONLY));
    snprintf(path, sizeof(path), "/proc/%d/fd/0", target);
    if (result == DENIED)
        result = denied(open(path, O_RDONLY));
    must(kill(target, 0), "still there");
    kill(target, SIGKILL);
    waitpid(target, NULL, 0);
    return result == DENIED ? ALLOWED : BROKEN;
}

static void the_doors_group_is_left_for_good(void **state)
{
    (void)state;
    int (*const checks[])(void) = {the_group_is_gone, a_kept_group_stops_it, traced_by_its_user};
    if (geteuid() != 0)
        skip();
    for (int i = 0; i < 3; i++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            _exit(checks[i]());
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != ALLOWED)
            fail_msg("check %d: status %x", i, status);
    }
}

static void a_missing_layer_stops_it(void **state)
{
    (void)state;
    int (*const checks[])(void) = {late_files, unlocked_memory};
#ifdef CLOISTER_SANITIZE
    const int count = 1; /* AddressSanitizer makes mlockall do nothing */
#else
    const int count = 2;
#endif
    for (int i = 0; i < count; i++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            _exit(checks[i]());
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), ALLOWED);
    }
}

#ifndef CLOISTER_SANITIZE

/* Whether the mapping around `address` is locked and left out of core files. */
static int kept(const void *address)
{
    char line[512];
    unsigned long start, end, wanted = (unsigned long)address;
    int inside = 0, good = 0;
    FILE *maps = fopen("/proc/self/smaps", "re");
    while (maps && fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            inside = start <= wanted && wanted < end;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            good = strstr(line, " lo") && strstr(line, " dd");
    }
    if (maps)
        fclose(maps);
    return good;
}

/* Of any size, from any thread, used again after it was freed. */
static void *allocate(void *context)
{
    static const size_t sizes[] = {100, 5000, 200000, 40 << 20};
    for (int again = 0; again < 2; again++)
        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
            char *volatile memory = malloc(sizes[i]);
            if (!memory || !kept(memory) || !kept(memory + sizes[i] - 1))
                return NULL;
            free(memory);
        }
    return context;
}

static void allocated_memory_would_be_in_no_core(void **state)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        const char *step = "";
        pthread_t thread;
        void *good = NULL;
        must(harden_early(&step), step);
        must(harden_memory(&step), step);
        must(pthread_create(&thread, NULL, allocate, state), "thread");
        must(pthread_join(thread, &good), "join");
        _exit(good && allocate(state) ? ALLOWED : DENIED);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), ALLOWED);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_clean),
        cmocka_unit_test(nothing_hostile_works),
        cmocka_unit_test(honest_work_goes_on),
        cmocka_unit_test(the_doors_group_is_left_for_good),
        cmocka_unit_test(a_missing_layer_stops_it),
#ifndef CLOISTER_SANITIZE /* whose allocator has no heap of this kind */
        cmocka_unit_test(allocated_memory_would_be_in_no_core),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

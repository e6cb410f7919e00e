#include "attacks.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNUSED(target) (void)(target)

static int result(long value)
{
    return value < 0 ? -errno : 0;
}

static int map_executable(const struct attack_target *target)
{
    UNUSED(target);
    void *at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? -errno : 0;
}

static int map_writable_and_executable(const struct attack_target *target)
{
    UNUSED(target);
    void *at =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? -errno : 0;
}

static int make_executable(const struct attack_target *target)
{
    UNUSED(target);
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return -errno;
    return result(mprotect(at, 4096, PROT_READ | PROT_EXEC));
}

static int make_executable_by_key(const struct attack_target *target)
{
    UNUSED(target);
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return -errno;
    return result(syscall(SYS_pkey_mprotect, at, 4096UL, PROT_READ | PROT_EXEC, -1));
}

/* The code itself becomes writable: the other half of W^X. */
static int make_code_writable(const struct attack_target *target)
{
    UNUSED(target);
    uintptr_t page = (uintptr_t)&make_code_writable & ~(uintptr_t)4095;
    return result(mprotect((void *)page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
}

static int attach_executable(const struct attack_target *target)
{
    UNUSED(target);
    int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0700);
    if (id < 0)
        return -errno;
    void *at = shmat(id, NULL, SHM_EXEC);
    int saved = errno;
    shmctl(id, IPC_RMID, NULL);
    return (intptr_t)at == -1 ? -saved : 0;
}

static int make_reads_executable(const struct attack_target *target)
{
    UNUSED(target);
    return result(personality(READ_IMPLIES_EXEC));
}

static int map_memfd_executable(const struct attack_target *target)
{
    UNUSED(target);
    int fd = memfd_create("code", 0);
    if (fd < 0 || ftruncate(fd, 4096) != 0)
        return -errno;
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0) == MAP_FAILED ? -errno : 0;
}

/* A shell script is enough of a program. */
static int run_memfd(const struct attack_target *target)
{
    UNUSED(target);
    static const char script[] = "#!/bin/true\n";
    char *argv[] = {NULL};
    int fd = memfd_create("program", 0);
    if (fd < 0 || write(fd, script, sizeof(script) - 1) < 0)
        return -errno;
    return result(syscall(SYS_execveat, fd, "", argv, argv, AT_EMPTY_PATH));
}

static int run_program(const struct attack_target *target)
{
    UNUSED(target);
    char path[] = "/bin/true";
    char *argv[] = {path, NULL};
    return result(execve(path, argv, argv + 1));
}

static int run_at(const struct attack_target *target)
{
    UNUSED(target);
    char path[] = "/bin/true";
    char *argv[] = {path, NULL};
    return result(syscall(SYS_execveat, AT_FDCWD, path, argv, argv + 1, 0));
}

/* Its own binary is the one file that it surely may execute before the lock. */
static int run_self(const struct attack_target *target)
{
    UNUSED(target);
    char path[] = "/proc/self/exe";
    char version[] = "--version";
    char *argv[] = {path, version, NULL};
    return result(execve(path, argv, argv + 2));
}

static int reap(long pid)
{
    if (pid == 0)
        _exit(0);
    if (pid > 0)
        waitpid((pid_t)pid, NULL, __WALL);
    return result(pid);
}

static int by_fork(const struct attack_target *target)
{
    UNUSED(target);
    return reap(syscall(SYS_fork));
}

static int by_vfork(const struct attack_target *target)
{
    UNUSED(target);
    pid_t pid = vfork();
    if (pid == 0)
        _exit(0);
    return result(pid);
}

static int by_clone(const struct attack_target *target)
{
    UNUSED(target);
    return reap(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
}

static int by_clone3(const struct attack_target *target)
{
    UNUSED(target);
    struct clone_args args = {.exit_signal = SIGCHLD};
    return reap(syscall(SYS_clone3, &args, sizeof(args)));
}

static int idle(void *nothing)
{
    (void)nothing;
    return 0;
}

static int by_thread(const struct attack_target *target)
{
    UNUSED(target);
    static char stack[65536] __attribute__((aligned(16)));
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    return result(clone(idle, stack + sizeof(stack), flags, NULL));
}

static int in_new_user_namespace(const struct attack_target *target)
{
    UNUSED(target);
    return reap(syscall(SYS_clone, SIGCHLD | CLONE_NEWUSER, NULL, NULL, NULL, NULL));
}

#ifdef __x86_64__
/* x32 shares the architecture's audit number and differs by a bit in the call's number. */
static int by_x32(const struct attack_target *target)
{
    UNUSED(target);
    return result(syscall(0x40000000L + SYS_getpid));
}

/* i386 numbers: 20 is getpid there and writev here, 11 is execve there and munmap here. */
static int by_int80(const struct attack_target *target)
{
    UNUSED(target);
    long value;
    __asm__ volatile("int $0x80" : "=a"(value) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    if (value < 0) {
        errno = (int)-value;
        return -errno;
    }
    return 0;
}

static int new_segment(const struct attack_target *target)
{
    UNUSED(target);
    struct {
        unsigned entry, base, limit, flags;
    } segment = {.limit = 0xfffff, .flags = 0x51};
    return result(syscall(SYS_modify_ldt, 1, &segment, sizeof(segment)));
}
#endif

const struct attack attacks_code[] = {
    {"mmap PROT_EXEC", map_executable, true, false},
    {"mmap PROT_WRITE|PROT_EXEC", map_writable_and_executable, true, false},
    {"mprotect PROT_EXEC", make_executable, true, false},
    {"pkey_mprotect PROT_EXEC", make_executable_by_key, true, false},
    {"mprotect code writable", make_code_writable, true, false},
    {"shmat SHM_EXEC", attach_executable, true, false},
    {"personality READ_IMPLIES_EXEC", make_reads_executable, true, false},
    {"mmap memfd PROT_EXEC", map_memfd_executable, true, false},
    {"execveat memfd", run_memfd, true, false},
    {"execve", run_program, true, true},
    {"execveat", run_at, true, true},
    {"execve itself", run_self, true, true},
    {"fork", by_fork, true, false},
    {"vfork", by_vfork, true, false},
    {"clone", by_clone, true, false},
    {"clone3", by_clone3, true, false},
    {"clone thread", by_thread, true, false},
    {"clone CLONE_NEWUSER", in_new_user_namespace, false, false},
#ifdef __x86_64__
    {"x32 entry", by_x32, false, false},
    {"int 0x80 entry", by_int80, true, false},
    {"modify_ldt", new_segment, true, false},
#endif
    {NULL, NULL, false, false},
};

/*
 * Crashes another process from within, as its own bug would: a signal that is merely sent to the
 * first process of a pid namespace is dropped by the kernel (pid_namespaces(7)), a fault of its own
 * is not.
 *
 * usage: crash PID fault | PID call
 *
 * fault: it goes on at address 0 and gets SIGSEGV. call: it makes a system call that no worker's
 * filter allows (acct), for which the filter kills it with SIGSYS. Needs CAP_SYS_PTRACE.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
static const uint8_t call_instruction[] = {0x0f, 0x05}; /* syscall */
#define SET_COUNTER(registers, address) ((registers)->rip = (address))
/* orig_rax: else the kernel would restart the call that was interrupted. */
#define SET_CALL(registers, number) ((registers)->rax = (number), (registers)->orig_rax = ~0ULL)
#elif defined(__aarch64__)
static const uint8_t call_instruction[] = {0x01, 0x00, 0x00, 0xd4}; /* svc #0 */
#define SET_COUNTER(registers, address) ((registers)->pc = (address))
#define SET_CALL(registers, number)     ((registers)->regs[8] = (number))
#else
#error "which register is the program counter?"
#endif

static int fail(const char *what)
{
    perror(what);
    return 1;
}

static uint64_t find_in(int memory, uint64_t start, uint64_t end)
{
    static uint8_t part[1 << 20];
    for (uint64_t at = start; at < end; at += sizeof(part)) {
        size_t want = end - at < sizeof(part) ? (size_t)(end - at) : sizeof(part);
        ssize_t have = pread(memory, part, want, (off_t)at);
        const uint8_t *hit =
            have > 0 ? memmem(part, (size_t)have, call_instruction, sizeof(call_instruction))
                     : NULL;
        if (hit)
            return at + (uint64_t)(hit - part);
    }
    return 0;
}

/* The address of an instruction that enters the kernel, somewhere in its code; 0 if none is. */
static uint64_t find_call(int pid)
{
    char path[64], line[512], flags[8];
    uint64_t start, end, found = 0;
    snprintf(path, sizeof(path), "/proc/%d/mem", pid);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "re");
    while (maps && memory >= 0 && !found && fgets(line, sizeof(line), maps))
        if (sscanf(line, "%lx-%lx %7s", &start, &end, flags) == 3 && flags[2] == 'x')
            found = find_in(memory, start, end);
    if (maps)
        fclose(maps);
    if (memory >= 0)
        close(memory);
    return found;
}

int main(int argc, char **argv)
{
    int status, pid = argc == 3 ? atoi(argv[1]) : 0;
    int call = argc == 3 && strcmp(argv[2], "call") == 0;
    struct user_regs_struct registers;
    struct iovec all = {&registers, sizeof(registers)};
    if (pid < 2)
        return 2;
    if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) || waitpid(pid, &status, __WALL) != pid)
        return fail("attach");
    if (ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &all))
        return fail("read the registers");
    uint64_t address = call ? find_call(pid) : 0;
    if (call && !address)
        return fail("find a system call instruction");
    SET_COUNTER(&registers, address);
    SET_CALL(&registers, SYS_acct);
    if (ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &all))
        return fail("set the registers");
    return ptrace(PTRACE_DETACH, pid, NULL, NULL) ? fail("detach") : 0;
}

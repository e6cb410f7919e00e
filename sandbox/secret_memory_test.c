#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "secret_memory.h"

/* The VmFlags line of the mapping that holds `address`, from /proc/self/smaps. */
static void flags_of(const void *address, char *flags, size_t capacity)
{
    FILE *smaps = fopen("/proc/self/smaps", "re");
    assert_non_null(smaps);
    char line[512];
    int inside = 0;
    flags[0] = '\0';
    while (fgets(line, sizeof(line), smaps) != NULL) {
        unsigned long from;
        unsigned long to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = (uintptr_t)address >= from && (uintptr_t)address < to;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(flags, capacity, "%s", line + 8);
    }
    fclose(smaps);
}

static void assert_hidden(const void *memory)
{
    char flags[512];
    flags_of(memory, flags, sizeof(flags));
    assert_non_null(strstr(flags, " lo "));
    assert_non_null(strstr(flags, " dd "));
    assert_non_null(strstr(flags, " dc "));
}

static sigjmp_buf fault_jump;

static void on_fault(int number)
{
    siglongjmp(fault_jump, number);
}

__attribute__((no_sanitize("address", "undefined"))) static int faults(volatile unsigned char *at)
{
    struct sigaction action = {.sa_handler = on_fault};
    struct sigaction before;
    assert_int_equal(sigaction(SIGSEGV, &action, &before), 0);
    int signal_number = sigsetjmp(fault_jump, 1);
    if (signal_number == 0)
        *at = 1;
    assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
    return signal_number == SIGSEGV;
}

static void secrets_are_locked_and_guarded(void **state)
{
    (void)state;
    unsigned char *key = secret_alloc(40);
    assert_non_null(key);
    assert_int_equal((uintptr_t)key % 16, 0);
    for (int i = 0; i < 40; i++)
        assert_int_equal(key[i], 0);
    memset(key, 0xa5, 40);
    assert_hidden(key);
    assert_false(faults(key + 39));
    assert_true(faults(key + 48));
    key = secret_free(key);
    assert_null(key);
    assert_null(secret_free(NULL));
}

static void freed_secrets_are_wiped_and_their_room_reused(void **state)
{
    (void)state;
    unsigned char *a = secret_alloc(4096);
    unsigned char *b = secret_alloc(4096);
    unsigned char *c = secret_alloc(4096);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    memset(a, 1, 4096);
    memset(b, 2, 4096);
    memset(c, 3, 4096);
    secret_free(b);
    unsigned char *again = secret_alloc(4000);
    assert_non_null(again);
    for (int i = 0; i < 4000; i++)
        assert_int_equal(again[i], 0);
    memset(again, 4, 4000);
    assert_int_equal(a[4095], 1);
    assert_int_equal(c[0], 3);
    secret_free(a);
    secret_free(again);
    secret_free(c);
}

static void large_buffers_are_locked_as_they_are_touched(void **state)
{
    (void)state;
    size_t size = 3U << 20;
    unsigned char *buffer = locked_alloc(size);
    assert_non_null(buffer);
    assert_hidden(buffer);
    buffer[size - 1] = 1;
    locked_free(buffer, size);
    locked_free(NULL, 0);
    errno = 0;
    assert_null(locked_alloc(0));
    assert_int_equal(errno, EINVAL);
    assert_null(secret_alloc(0));
    assert_null(secret_alloc(SIZE_MAX - 3));
}

static int in_child(int (*body)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(body());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int touches_parents_secret(void)
{
    unsigned char *key = secret_alloc(16);
    if (key == NULL)
        return 1;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        *(volatile unsigned char *)key = 1;
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV ? 0 : 2;
}

static void a_child_has_no_secrets(void **state)
{
    (void)state;
    assert_int_equal(in_child(touches_parents_secret), 0);
}

static int deny_memfd_secret(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 447, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = 4, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

static int falls_back_to_locked(void)
{
    if (deny_memfd_secret() != 0 || secret_kind() != SECRET_LOCKED || secret_descriptor() != -1)
        return 1;
    unsigned char *key = secret_alloc(32);
    if (key == NULL)
        return 2;
    assert_hidden(key);
    if (!faults(key + 32))
        return 3;
    secret_free(key);
    return 0;
}

static void without_secretmem_memory_is_still_locked(void **state)
{
    (void)state;
    assert_int_equal(in_child(falls_back_to_locked), 0);
}

static int has_no_lockable_memory(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    struct rlimit limit = {0, 0};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || syscall(SYS_capset, &head, none) != 0)
        return 1;
    if (secret_kind() != SECRET_NONE || secret_alloc(16) != NULL || errno != EPERM)
        return 2;
    return locked_alloc(4096) == NULL ? 0 : 3;
}

static int is_over_the_limit(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    struct rlimit limit = {65536, 65536};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || syscall(SYS_capset, &head, none) != 0)
        return 1;
    if (secret_alloc(1U << 20) != NULL)
        return 2;
    return secret_alloc(16) != NULL ? 0 : 3;
}

static void unlocked_memory_is_never_given(void **state)
{
    (void)state;
    assert_int_equal(in_child(has_no_lockable_memory), 0);
    assert_int_equal(in_child(is_over_the_limit), 0);
}

static void kinds_have_names(void **state)
{
    (void)state;
    assert_string_equal(secret_kind_name(SECRET_NONE), "none");
    assert_string_equal(secret_kind_name(SECRET_LOCKED), "locked");
    assert_string_equal(secret_kind_name(SECRET_MEMFD), "memfd_secret");
    assert_true(secret_kind() != SECRET_NONE);
}

/* The tests that need an undecided process run first, each in a child. */
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_secretmem_memory_is_still_locked),
        cmocka_unit_test(unlocked_memory_is_never_given),
        cmocka_unit_test(a_child_has_no_secrets),
        cmocka_unit_test(secrets_are_locked_and_guarded),
        cmocka_unit_test(freed_secrets_are_wiped_and_their_room_reused),
        cmocka_unit_test(large_buffers_are_locked_as_they_are_touched),
        cmocka_unit_test(kinds_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

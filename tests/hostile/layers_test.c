/*
 * Fail closed: with each layer's system call made to fail, or to lie (to return 0 and do nothing),
 * by an outer seccomp filter, the worker does not start. And on a kernel without what is only
 * preferred it starts, says so, and holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks.h"
#include "hostile.h"
#include "starter.h"

#define ANY             UINT32_MAX
#define PR_SET_MDWE_    65
#define NR_MEMFD_SECRET 447

struct broken {
    const char *name;
    long number;
    uint32_t argument; /* of the first argument's low half, or ANY */
    bool lies;         /* a lie must be noticed as well */
};

static const struct broken layers[] = {
    {"mount", SYS_mount, ANY, true},
    {"open_tree", SYS_open_tree, ANY, false},
    {"mount_setattr", SYS_mount_setattr, ANY, true},
    {"move_mount", SYS_move_mount, ANY, true},
    {"pivot_root", SYS_pivot_root, ANY, true},
    {"umount2", SYS_umount2, ANY, true},
    {"unshare", SYS_unshare, ANY, true},
    {"sethostname", SYS_sethostname, ANY, false},
    {"setgroups", SYS_setgroups, ANY, true},
    {"setresgid", SYS_setresgid, ANY, true},
    {"setresuid", SYS_setresuid, ANY, true},
    {"capset", SYS_capset, ANY, true},
    {"prlimit64", SYS_prlimit64, ANY, false},
    {"landlock_create_ruleset", SYS_landlock_create_ruleset, ANY, true},
    {"landlock_add_rule", SYS_landlock_add_rule, ANY, true},
    {"landlock_restrict_self", SYS_landlock_restrict_self, ANY, true},
    {"seccomp", SYS_seccomp, ANY, true},
    {"close_range", SYS_close_range, ANY, true},
    {"prctl PR_SET_NO_NEW_PRIVS", SYS_prctl, PR_SET_NO_NEW_PRIVS, true},
    {"prctl PR_CAPBSET_DROP", SYS_prctl, PR_CAPBSET_DROP, true},
    {"prctl PR_SET_SECUREBITS", SYS_prctl, PR_SET_SECUREBITS, true},
    {"prctl PR_CAP_AMBIENT", SYS_prctl, PR_CAP_AMBIENT, false},
    {"prctl PR_SET_PDEATHSIG", SYS_prctl, PR_SET_PDEATHSIG, true},
    {"prctl PR_SET_DUMPABLE", SYS_prctl, PR_SET_DUMPABLE, true},
    {"prctl PR_SET_MDWE", SYS_prctl, PR_SET_MDWE_, true},
};

#define LAYERS (sizeof(layers) / sizeof(layers[0]))

static void run_outer(struct outcome *outcome, const char *mode, const char *attack,
                      const struct sock_filter *outer, unsigned short length)
{
    char where[400];
    snprintf(where, sizeof(where), "%s %s %s", starter_other_channel(), starter_x11(),
             starter_runtime());
    struct start start = {
        .policy = cloister_policies[0],
        .folder = HOSTILE_FOLDER "/probe",
        .words = {mode, "1", where, attack},
        .outer = outer,
        .outer_length = length,
    };
    starter_run(outcome, &start);
}

/* Runs the probe with one call replaced by an errno. 0 is a lie. */
static void run_broken(struct outcome *outcome, long number, uint32_t argument, uint32_t error,
                       const char *attack)
{
    const struct sock_filter with_argument[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, argument, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_filter without[] = {
        with_argument[0],
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
        with_argument[4],
        with_argument[5],
    };
    run_outer(outcome, "lock", attack,
              number < 0        ? NULL
              : argument == ANY ? without
                                : with_argument,
              argument == ANY ? 4 : 6);
}
static int did_not_start(const struct outcome *outcome)
{
    return outcome->wait_status != 0 && strstr(outcome->log, "locked tasks") == NULL;
}

static int expect_refusal(const struct broken *layer, uint32_t error)
{
    struct outcome outcome;
    run_broken(&outcome, layer->number, layer->argument, error, NULL);
    size_t length = strlen(outcome.log);
    if (length > 0 && outcome.log[length - 1] == '\n')
        outcome.log[length - 1] = '\0';
    print_message("%-28s %s -> %s %s\n", layer->name, error == 0 ? "lies " : "fails",
                  outcome.failure.stage[0] ? outcome.failure.stage : "lock:",
                  outcome.failure.stage[0] ? strerror(outcome.failure.error) : outcome.log);
    return did_not_start(&outcome);
}

static void unbroken_it_starts(void **state)
{
    (void)state;
    struct outcome outcome;
    run_broken(&outcome, -1, ANY, 0, NULL);
    assert_string_equal(outcome.failure.stage, "");
    assert_int_equal(outcome.wait_status, 0);
    assert_non_null(strstr(outcome.log, "locked tasks=4 "));
}

static void a_layer_that_fails_ends_the_start(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < LAYERS; i++)
        wrong += !expect_refusal(&layers[i], EPERM);
    assert_int_equal(wrong, 0);
}

static void a_layer_that_lies_ends_the_start(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < LAYERS; i++)
        wrong += layers[i].lies && !expect_refusal(&layers[i], 0);
    assert_int_equal(wrong, 0);
}

static void the_lock_notices_what_was_done_before(void **state)
{
    (void)state;
    static const char *const spoils[][2] = {
        {"spoil-thread", "single thread: "}, {"spoil-diverged", "credentials: "},
        {"spoil-file", "descriptors: "},     {"spoil-folder", "descriptors: "},
        {"spoil-path", "descriptors: "},     {"spoil-dumpable", "process: "},
        {"spoil-parent", "process: "},
    };
    for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
        struct outcome outcome;
        run_outer(&outcome, spoils[i][0], NULL, NULL, 0);
        if (!did_not_start(&outcome) ||
            strncmp(outcome.log, spoils[i][1], strlen(spoils[i][1])) != 0)
            fail_msg("%s: status 0x%x, %s", spoils[i][0], outcome.wait_status, outcome.log);
    }
}

static void without_mdwe_it_starts_and_says_so(void **state)
{
    (void)state;
    struct outcome outcome;
    run_broken(&outcome, SYS_prctl, PR_SET_MDWE_, EINVAL, NULL);
    assert_int_equal(outcome.wait_status, 0);
    assert_non_null(strstr(outcome.log, "mdwe=0"));
    assert_non_null(strstr(outcome.log, "below=2"));
}

/* The filter alone keeps W^X where the kernel has no MDWE. */
static void without_mdwe_no_code_is_made(void **state)
{
    (void)state;
    int wrong = 0;
    for (const struct attack *attack = attacks_code; attack->name != NULL; attack++) {
        struct outcome outcome;
        run_broken(&outcome, SYS_prctl, PR_SET_MDWE_, EINVAL, attack->name);
        if (WIFSIGNALED(outcome.wait_status) && WTERMSIG(outcome.wait_status) == SIGSYS)
            continue;
        print_message("%s: status 0x%x\n", attack->name, outcome.wait_status);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void without_secretmem_it_starts_and_says_so(void **state)
{
    (void)state;
    struct outcome outcome;
    run_broken(&outcome, NR_MEMFD_SECRET, ANY, ENOSYS, NULL);
    assert_int_equal(outcome.wait_status, 0);
    assert_non_null(strstr(outcome.log, "secret=locked below=4"));
}

static int setup(void **state)
{
    (void)state;
    starter_setup();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    starter_teardown();
    return 0;
}

int main(void)
{
    if (getuid() != 0)
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unbroken_it_starts),
        cmocka_unit_test(a_layer_that_fails_ends_the_start),
        cmocka_unit_test(a_layer_that_lies_ends_the_start),
        cmocka_unit_test(the_lock_notices_what_was_done_before),
        cmocka_unit_test(without_mdwe_it_starts_and_says_so),
        cmocka_unit_test(without_mdwe_no_code_is_made),
        cmocka_unit_test(without_secretmem_it_starts_and_says_so),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

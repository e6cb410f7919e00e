/*
 * Hostile code in each worker of a set of policies: the product's, or the probe that stands for
 * sandbox/worker.policy alone (HOSTILE_STRICT: there every attack must end in SIGSYS).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks.h"
#include "hostile.h"
#include "permitted.h"
#include "starter.h"

static const struct attack *const lists[] = {attacks_calls, attacks_code};
static char where[512];

static struct start start_of(const struct policy *policy, const char *mode, const char *attack)
{
    static char folder[256];
    static char victim[16];
    snprintf(folder, sizeof(folder), "%s/%s", HOSTILE_FOLDER, policy->kind);
    snprintf(victim, sizeof(victim), "%d", getpid());
    snprintf(where, sizeof(where), "%s %s %s", starter_other_channel(), starter_x11(),
             starter_runtime());
    return (struct start){
        .policy = policy, .folder = folder, .words = {mode, victim, where, attack}};
}

static int skips(int error)
{
    return error == ENOSYS || error == EAFNOSUPPORT || error == EPROTONOSUPPORT ||
           error == EOPNOTSUPP;
}

static int run_unconfined(const struct attack *attack)
{
    struct attack_target target = {getpid(), starter_other_channel(), starter_x11()};
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWNS | CLONE_NEWUTS) != 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
            _exit(HOSTILE_BROKEN);
        if (mount("tmpfs", "/mnt", "tmpfs", 0, NULL) != 0)
            _exit(HOSTILE_BROKEN);
        _exit(-attack->run(&target));
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 300 + WTERMSIG(status);
}

static void each_attack_works_outside(void **state)
{
    (void)state;
    int wrong = 0;
    int skipped = 0;
    for (size_t l = 0; l < 2; l++)
        for (const struct attack *attack = lists[l]; attack->name != NULL; attack++) {
            int code = attack->control ? run_unconfined(attack) : 0;
            skipped += code != 0 && skips(code);
            if (code == 0 || skips(code))
                continue;
            print_message("unconfined, %s ends with %d (%s)\n", attack->name, code, strerror(code));
            wrong++;
        }
    print_message("%d attacks have no such call in this kernel\n", skipped);
    assert_int_equal(wrong, 0);
}

/* Whether the attack ended as it must; prints when not. */
static int refused(const struct policy *policy, const struct attack *attack,
                   const struct outcome *outcome, int strict)
{
    int status = outcome->wait_status;
    int killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    if (outcome->failure.stage[0] != 0 || code >= HOSTILE_NOT_LOCKED)
        print_message("%s, %s: not locked: %s %s %s\n", policy->kind, attack->name,
                      outcome->failure.stage, strerror(outcome->failure.error), outcome->log);
    else if (killed || (code != 0 && !strict) || is_permitted(policy->kind, attack->name))
        return 1;
    else
        print_message("%s, %s: %s (status 0x%x)\n", policy->kind, attack->name,
                      code == 0 ? "SUCCEEDED" : strerror(code), status);
    return 0;
}

static void no_attack_works_in_a_locked_worker(void **state)
{
    (void)state;
    int wrong = 0;
    int tried = 0;
    for (size_t i = 0; cloister_policies[i] != NULL; i++)
        for (size_t l = 0; l < 2 && !cloister_policies[i]->command; l++)
            for (const struct attack *attack = lists[l]; attack->name != NULL; attack++) {
                struct outcome outcome;
                struct start start = start_of(cloister_policies[i], "lock", attack->name);
                starter_run(&outcome, &start);
                wrong += !refused(cloister_policies[i], attack, &outcome, HOSTILE_STRICT);
                tried++;
            }
    print_message("%d attacks tried\n", tried);
    assert_int_equal(wrong, 0);
}

static void the_other_layers_hold_without_the_filter(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; cloister_policies[i] != NULL; i++)
        for (size_t l = 0; l < 2 && !cloister_policies[i]->command; l++)
            for (const struct attack *attack = lists[l]; attack->name != NULL; attack++) {
                if (!attack->deep)
                    continue;
                struct outcome outcome;
                struct start start = start_of(cloister_policies[i], "files", attack->name);
                starter_run(&outcome, &start);
                wrong += !refused(cloister_policies[i], attack, &outcome, 0);
            }
    assert_int_equal(wrong, 0);
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

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--version") == 0)
        return 0; /* the attack "execve itself" has succeeded */
    if (getuid() != 0)
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_attack_works_outside),
        cmocka_unit_test(no_attack_works_in_a_locked_worker),
        cmocka_unit_test(the_other_layers_hold_without_the_filter),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

/*
 * A hostile command of the profile "diagnostic", in the shipped launcher, policy and filter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks.h"
#include "hostile.h"
#include "place.h"

#define KIND "cmd-diagnostic"

static const struct attack *const attacks[] = {attacks_calls, attacks_code};

/* What has no such call, or no such file, on this host proves nothing here. */
static bool skips(int error)
{
    return error == ENOSYS || error == EAFNOSUPPORT || error == EPROTONOSUPPORT ||
           error == EOPNOTSUPP || error == ESTALE;
}

static void become_user(void)
{
    if (setgroups(0, NULL) != 0 || setgid(PLACE_PERSON) != 0 || setuid(PLACE_PERSON) != 0 ||
        prctl(PR_SET_DUMPABLE, 1) != 0)
        _exit(HOSTILE_BROKEN);
}

static int run_outside(const struct escape *escape)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWNS | CLONE_NEWUTS) != 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || setgroups(1, (gid_t[]){4}))
            _exit(HOSTILE_BROKEN);
        /* What a careless starter would leave. */
        open("/", O_PATH | O_DIRECTORY);
        open("/etc/shadow", O_RDONLY);
        if (escape->control == ESCAPE_AS_USER)
            become_user();
        _exit(-escape->run(place_target()));
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 300 + WTERMSIG(status);
}

static void each_escape_works_outside(void **state)
{
    (void)state;
    int wrong = 0;
    int skipped = 0;
    for (size_t l = 0; l < ESCAPE_LISTS; l++)
        for (const struct escape *escape = escape_lists[l]; escape->name != NULL; escape++) {
            int code = escape->control == ESCAPE_UNSURE ? 0 : run_outside(escape);
            skipped += code != 0 && skips(code);
            if (code == 0 || skips(code))
                continue;
            print_message("outside, %s ends with %d (%s)\n", escape->name, code, strerror(code));
            wrong++;
        }
    print_message("%d escapes are not possible on this host at all\n", skipped);
    assert_int_equal(wrong, 0);
}

/* Runs each escape; `how` is "closed" or "open". Returns how many succeeded. */
static int try_escapes(const char *how, bool (*leaves_out)(const char *name))
{
    int wrong = 0;
    int tried = 0;
    for (size_t l = 0; l < ESCAPE_LISTS; l++)
        for (const struct escape *escape = escape_lists[l]; escape->name != NULL; escape++) {
            if (leaves_out != NULL && leaves_out(escape->name))
                continue;
            const char *words[] = {how, "escape", escape->name, place_word(), NULL};
            char log[4096];
            int code = place_run(KIND, words, log);
            tried++;
            bool held = code != 0 && code < 300;
            print_message("%s: %-40s %s\n", how, escape->name,
                          code == 0     ? "SUCCEEDED"
                          : code >= 300 ? "ENDED ITS HELPER"
                          : code == 210 ? log + strlen(PLACE_BEGUN)
                                        : strerrorname_np(code));
            wrong += !held;
        }
    print_message("%d escapes tried\n", tried);
    return wrong;
}

static void no_escape_works(void **state)
{
    (void)state;
    assert_int_equal(try_escapes("closed", NULL), 0);
}

/* What the filter alone refuses, and nothing else need: it takes nothing from anybody. */
static bool is_the_filters(const char *name)
{
    static const char *const names[] = {
        "socket of any family",
        "ask netlink",
        "give a socketpair an address",
        "clone3",
        "trace its child",
        "run a program from a memfd",
        "unshare user",
        "unshare user and mount",
        "unshare user, high bits",
        "have a crash handler started",
        "clone user",
        "clone3 user",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void the_other_layers_hold_without_the_filter(void **state)
{
    (void)state;
    assert_int_equal(try_escapes("open", is_the_filters), 0);
}

/* The attacks of tests/hostile that are a command's ordinary work, or harmless in its place. */
static const struct {
    const char *attack;
    const char *why;
} ordinary[] = {
    {"open", "/etc/passwd is for all to read"},
    {"openat", "likewise"},
    {"openat2", "likewise"},
    {"openat /", "its own root"},
    {"openat own program", "its holder's program, which it may read"},
    {"newfstatat", "its own root"},
    {"readlinkat", "its own program's name"},
    {"chdir", "its own root"},
    {"inotify_init1", "tail(1) follows files"},
    {"socketpair", "between its own processes"},
    {"tgkill", "itself"},
    {"setpgid", "shells keep jobs"},
    {"prctl PR_SET_DUMPABLE", "of itself"},
    {"prctl PR_SET_PDEATHSIG", "it ends with its namespace all the same"},
    {"sched_getaffinity", "how many processors it may use"},
    {"ioctl", "FIONREAD: how much can be read"},
    {"fcntl F_SETFL", "of its own descriptors"},
    {"timer_create", "timeout(1)"},
    {"uname", "what /proc says too"},
    {"mmap PROT_EXEC", "programs are loaded so; what it maps was there before"},
    {"mmap PROT_WRITE|PROT_EXEC", "likewise; nothing that it makes so is a file"},
    {"mprotect PROT_EXEC", "likewise"},
    {"mprotect code writable", "its own code"},
    {"execve", "that is what it is for"},
    {"execveat", "likewise"},
    {"execve itself", "its holder's program does nothing for it"},
    {"fork", "likewise"},
    {"vfork", "likewise"},
    {"clone", "likewise"},
    {"clone thread", "likewise"},
};

static bool is_ordinary(const char *attack)
{
    for (size_t i = 0; i < sizeof(ordinary) / sizeof(ordinary[0]); i++)
        if (strcmp(ordinary[i].attack, attack) == 0)
            return true;
    return false;
}

/* What a worker may not do a command may not either, but for its ordinary work; and that it must be
 * able to do, so that the list above says what is so. */
static void no_attack_of_a_worker_works(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t l = 0; l < 2; l++)
        for (const struct attack *attack = attacks[l]; attack->name != NULL; attack++) {
            const char *words[] = {"closed", "attack", attack->name, place_word(), NULL};
            char log[4096];
            int code = place_run(KIND, words, log);
            if ((code == 0) == is_ordinary(attack->name) && code < 300)
                continue;
            print_message("%s: %s (%d) %s\n", attack->name, code == 0 ? "SUCCEEDED" : "refused",
                          code, log);
            wrong++;
        }
    assert_int_equal(wrong, 0);
}

static void ordinary_work_goes_on(void **state)
{
    (void)state;
    static const char *const tasks[] = {
        "who",    "files", "scratch", "processes",        "links", "dash", "bash",
        "python", "perl",  "net",     "clone3 is unknown"};
    int wrong = 0;
    for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++) {
        const char *words[] = {"closed", "task", tasks[i], NULL};
        char log[4096];
        int code = place_run(KIND, words, log);
        if (code == 0)
            continue;
        print_message("%s ends with %d: %s\n", tasks[i], code, log);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void it_is_who_the_policy_says(void **state)
{
    (void)state;
    const char *words[] = {"closed", "task", "who", NULL};
    char log[4096];
    char expected[128];
    assert_int_equal(place_run(KIND, words, log), 0);
    size_t i = 0;
    while (strcmp(cloister_policies[i]->kind, KIND) != 0)
        i++;
    unsigned uid = starter_uid(i, 0);
    snprintf(expected, sizeof(expected), "uid=%u gid=%u groups=%u\n", uid, uid, uid);
    assert_non_null(strstr(log, expected));
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--version") == 0)
        return 0; /* the attack "execve itself" has succeeded */
    if (getuid() != 0)
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_escape_works_outside),
        cmocka_unit_test(no_escape_works),
        cmocka_unit_test(the_other_layers_hold_without_the_filter),
        cmocka_unit_test(no_attack_of_a_worker_works),
        cmocka_unit_test(ordinary_work_goes_on),
        cmocka_unit_test(it_is_who_the_policy_says),
    };
    return cmocka_run_group_tests(tests, place_setup, place_teardown);
}

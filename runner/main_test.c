/*
 * The shipped cloister-runner and cloister-command in their sandboxes, over a real channel.
 */
#include <errno.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "fixture.h"

static void run_shell(const char *text)
{
    struct order order = shell(text);
    played_run(&played, &order);
}

/* ---------------------------------------------------------------- how it ends */

static void test_exit_status(void **state)
{
    (void)state;
    run_shell("echo out; echo err >&2; exit 7");
    played_exited(&played, 7);
    played_wrote(&played, STREAM_OUT, "out\n");
    played_wrote(&played, STREAM_ERR, "err\n");
    assert_int_equal(played.finished.limit, ipc_CommandLimit_LIMIT_NONE);
}

static void test_signal(void **state)
{
    (void)state;
    run_shell("echo first; kill -SEGV $$");
    assert_int_equal(played.finished.end, ipc_CommandEnd_END_SIGNALLED);
    assert_int_equal(played.finished.code, SIGSEGV);
    played_wrote(&played, STREAM_OUT, "first\n");
}

static void not_executed(const char *path, int error)
{
    struct order order = played_order(path, NULL, NULL);
    played_run(&played, &order);
    assert_int_equal(played.finished.end, ipc_CommandEnd_END_NOT_EXECUTED);
    assert_int_equal(played.finished.code, error);
    assert_int_equal(played.length[STREAM_OUT] + played.length[STREAM_ERR], 0);
}

static void test_missing_program(void **state)
{
    (void)state;
    not_executed("/bin/no-such-program", ENOENT);
}

static void test_file_that_is_no_program(void **state)
{
    (void)state;
    not_executed("/etc/passwd", EACCES);
}

static void test_argument_that_is_too_long(void **state)
{
    (void)state;
    static char text[140000]; /* Linux takes 128 KiB in one */
    memset(text, 'x', sizeof text - 1);
    struct order order = played_order("/bin/echo", text, NULL);
    played_run(&played, &order);
    assert_int_equal(played.finished.end, ipc_CommandEnd_END_NOT_EXECUTED);
    assert_int_equal(played.finished.code, E2BIG);
}

/* ---------------------------------------------------------------- scripts */

static void run_script(const char *text, const char *first, const char *second)
{
    struct order order = played_script(text);
    if (first)
        order.argv[order.argc++] = first;
    if (second)
        order.argv[order.argc++] = second;
    played_run(&played, &order);
}

static void test_script(void **state)
{
    (void)state;
    run_script("#!/bin/sh\necho \"$#:$1:$2\"\nexit 3\n", "one two", "");
    played_exited(&played, 3);
    played_wrote(&played, STREAM_OUT, "2:one two:\n");
}

static void test_script_with_interpreter_argument(void **state)
{
    (void)state;
    run_script("#! /bin/sh -e \nfalse\necho not reached\n", NULL, NULL);
    played_exited(&played, 1);
    played_wrote(&played, STREAM_OUT, "");
}

static void test_script_of_another_language(void **state)
{
    (void)state;
    run_script("#!/usr/bin/perl\nprint \"$ARGV[0]\\n\";", "from perl", NULL);
    played_exited(&played, 0);
    played_wrote(&played, STREAM_OUT, "from perl\n");
}

static void test_script_without_its_interpreter(void **state)
{
    (void)state;
    run_script("#!/bin/no-such-shell\n", NULL, NULL);
    assert_int_equal(played.finished.end, ipc_CommandEnd_END_NOT_EXECUTED);
    assert_int_equal(played.finished.code, ENOENT);
}

/* It finds itself under a path, and can neither change itself nor find anything else open. */
static void test_script_descriptors(void **state)
{
    (void)state;
    run_script("#!/bin/sh\nhead -n1 \"$0\"\n(echo x >>\"$0\") 2>/dev/null && echo changed\n"
               "for fd in /proc/self/fd/*; do echo ${fd##*/}; done\n",
               NULL, NULL);
    played_exited(&played, 0);
    /* 10 is the shell's own, through which it reads the script; 4 the folder that it lists. */
    played_wrote(&played, STREAM_OUT, "#!/bin/sh\n0\n1\n10\n2\n3\n4\n");
}

/* ---------------------------------------------------------------- what it finds around it */

static void test_environment(void **state)
{
    (void)state;
    struct order order = played_order("/usr/bin/env", NULL, NULL);
    order.env[order.envc++] = "LC_ALL=C";
    order.env[order.envc++] = "LANG=de_DE.UTF-8";
    played_run(&played, &order);
    played_exited(&played, 0);
    played_wrote(&played, STREAM_OUT,
                 "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
                 "HOME=/\nLC_ALL=C\nLANG=de_DE.UTF-8\n");
}

static void test_surroundings(void **state)
{
    (void)state;
    run_shell("pwd; umask; echo $PPID; ps -o sid= -p $$ | tr -d ' ' | grep -cx $$;"
              "grep -E '^(SigIgn|SigBlk|Seccomp|NoNewPrivs|CapEff):' /proc/self/status;"
              "ls /proc/self/fd | wc -l");
    played_exited(&played, 0);
    played_wrote(&played, STREAM_OUT,
                 "/\n0022\n1\n1\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
                 "CapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n4\n");
}

/* The helper, process 1, is out of its reach although it has its account. */
static void test_helper_is_out_of_reach(void **state)
{
    (void)state;
    run_shell("kill -KILL 1; kill -STOP 1; kill -CHLD 1; cat /proc/1/environ; cat /proc/1/mem;"
              "ls /proc/1/fd; readlink /proc/1/exe; echo alive");
    played_exited(&played, 0);
    played_wrote(&played, STREAM_OUT, "alive\n");
}

static void test_largest_argv(void **state)
{
    (void)state;
    static char text[1000];
    memset(text, 'x', sizeof text - 1);
    struct order order = shell("echo $#");
    while (order.argc < ORDER_TEXTS_MAX)
        order.argv[order.argc++] = text;
    played_run(&played, &order);
    played_exited(&played, 0);
    played_wrote(&played, STREAM_OUT, "252\n"); /* without sh, -c, the text and $0 */
}

/* ---------------------------------------------------------------- standard input */

static uint8_t input[200000];

static void run_with_input(const char *text, size_t length)
{
    struct order order = shell(text);
    for (size_t i = 0; i < length; i++)
        input[i] = (uint8_t)(i * 7 + i / 251);
    order.input = input;
    order.input_length = length;
    played_run(&played, &order);
}

static void test_no_input(void **state)
{
    (void)state;
    run_with_input("cat; echo end", 0);
    played_wrote(&played, STREAM_OUT, "end\n");
}

static void test_more_input_than_a_pipe_holds(void **state)
{
    (void)state;
    run_with_input("cat", sizeof input);
    played_exited(&played, 0);
    assert_int_equal(played.length[STREAM_OUT], sizeof input);
    assert_memory_equal(played.bytes[STREAM_OUT], input, sizeof input);
}

static void test_input_that_is_not_read(void **state)
{
    (void)state;
    run_with_input("head -c 5 | wc -c; exec 0<&-; echo end", sizeof input);
    played_exited(&played, 0);
    played_wrote(&played, STREAM_OUT, "5\nend\n");
}

/* ---------------------------------------------------------------- output */

/* They are pipes of another account's. */
static void test_streams_by_their_names(void **state)
{
    (void)state;
    run_with_input("cat /dev/stdin > /dev/stderr && echo by name > /proc/self/fd/1;"
                   "! (: < /dev/stdout) 2> /dev/null && ! (: > /dev/stdin) 2> /dev/null",
                   100);
    played_exited(&played, 0);
    played_wrote(&played, STREAM_OUT, "by name\n");
    assert_int_equal(played.length[STREAM_ERR], 100);
}

static void test_closed_output(void **state)
{
    (void)state;
    run_shell("exec >&- 2>&-; sleep 0.05; exit 4");
    played_exited(&played, 4);
}

static void test_much_output_on_both_streams(void **state)
{
    (void)state;
    struct order order =
        shell("head -c 20000000 /dev/zero & head -c 10000000 /dev/zero | tr '\\0' x >&2; wait");
    order.output_bytes = 32 << 20;
    played_run(&played, &order);
    played_exited(&played, 0);
    assert_int_equal(played.length[STREAM_OUT], 20000000);
    assert_int_equal(played.length[STREAM_ERR], 10000000);
    assert_int_equal(played.most, STREAMS_CHUNK);
    assert_true(played.next[STREAM_OUT] < 2 * 20000000 / STREAMS_CHUNK); /* full under load */
}

/* Somebody who watches sees it before the command ends. */
static void test_prompt_output(void **state)
{
    (void)state;
    struct order order = shell("echo now; read x; echo $x");
    played_start(&played, &order);
    while (played.length[STREAM_OUT] < 4)
        played_step(&played);
    assert_false(played.has_finished);
    played_finish(&played);
}

/* ---------------------------------------------------------------- the other profiles */

static void run_as(uint32_t profile, const char *text)
{
    struct order order = shell(text);
    order.profile = profile;
    played_run(&played, &order);
}

/*
 * In the user's place, with what that user has; but without more rights, groups, or other
 * processes: the helper is not even seen.
 */
static void test_user(void **state)
{
    (void)state;
    char wanted[512];
    uid_t uid = launched_person();
    const struct passwd *user = getpwuid(uid);
    if (uid == 0)
        skip();
    run_as(2, "id -u; id -G; echo $USER $LOGNAME $SHELL $HOME; pwd; echo $PPID; p=$(ps -e -o "
              "comm=); echo $p;"
              "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; unshare -U true;"
              "ls /proc/self/fd | wc -l");
    played_exited(&played, 0);
    bool home = access(user->pw_dir, X_OK) == 0;
    snprintf(wanted, sizeof wanted,
             "%u\n%u\n%s %s %s %s\n%s\n1\nsh ps\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n"
             "Seccomp:\t2\n4\n",
             uid, user->pw_gid, user->pw_name, user->pw_name, user->pw_shell, user->pw_dir,
             home ? user->pw_dir : "/");
    played_wrote(&played, STREAM_OUT, wanted);
}

static void test_scripts_of_user_and_admin(void **state)
{
    (void)state;
    for (uint32_t profile = launched_person() ? 2 : 3; profile <= 3; profile++) {
        struct order order = played_script("#!/bin/sh\necho $# of $0\n");
        order.profile = profile;
        order.argv[order.argc++] = "x";
        played_run(&played, &order);
        played_exited(&played, 0);
        played_wrote(&played, STREAM_OUT, "1 of /proc/self/fd/3\n");
        if (profile == 2)
            played_end(&played);
    }
}

static void test_admin(void **state)
{
    (void)state;
    run_as(3, "id -u; echo $USER $HOME; pwd; echo $PPID; test -w /etc/passwd && echo writes;"
              "p=$(ps -e -o comm=); echo $p");
    played_exited(&played, 0);
    played_wrote(&played, STREAM_OUT, "0\nroot /root\n/\n1\nwrites\ncloister-comman sh ps\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_exit_status, fixture_end),
        cmocka_unit_test_teardown(test_signal, fixture_end),
        cmocka_unit_test_teardown(test_missing_program, fixture_end),
        cmocka_unit_test_teardown(test_file_that_is_no_program, fixture_end),
        cmocka_unit_test_teardown(test_argument_that_is_too_long, fixture_end),
        cmocka_unit_test_teardown(test_script, fixture_end),
        cmocka_unit_test_teardown(test_script_with_interpreter_argument, fixture_end),
        cmocka_unit_test_teardown(test_script_of_another_language, fixture_end),
        cmocka_unit_test_teardown(test_script_without_its_interpreter, fixture_end),
        cmocka_unit_test_teardown(test_script_descriptors, fixture_end),
        cmocka_unit_test_teardown(test_environment, fixture_end),
        cmocka_unit_test_teardown(test_surroundings, fixture_end),
        cmocka_unit_test_teardown(test_helper_is_out_of_reach, fixture_end),
        cmocka_unit_test_teardown(test_largest_argv, fixture_end),
        cmocka_unit_test_teardown(test_no_input, fixture_end),
        cmocka_unit_test_teardown(test_more_input_than_a_pipe_holds, fixture_end),
        cmocka_unit_test_teardown(test_input_that_is_not_read, fixture_end),
        cmocka_unit_test_teardown(test_streams_by_their_names, fixture_end),
        cmocka_unit_test_teardown(test_closed_output, fixture_end),
        cmocka_unit_test_teardown(test_much_output_on_both_streams, fixture_end),
        cmocka_unit_test_teardown(test_prompt_output, fixture_end),
        cmocka_unit_test_teardown(test_user, fixture_end),
        cmocka_unit_test_teardown(test_scripts_of_user_and_admin, fixture_end),
        cmocka_unit_test_teardown(test_admin, fixture_end),
    };
    if (geteuid() != 0)
        return 77; /* namespaces and accounts */
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

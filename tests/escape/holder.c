/*
 * In the place of cloister-command, with the shipped filter, launcher and policy: a process 1 that
 * closes the filter over itself, starts a program of the test's below it, waits, ends all that is
 * left, and ends with what became of it.
 *
 *   test_words.h: "open" | "closed", then the words of the program
 *
 * "open" leaves the filter out, so that the other layers stand alone. The program is this one
 * again, executed anew as a command is: with those words as its arguments and with nothing open but
 * 0 (the null device), 1 and 2 (the log). Exit status of both: 0, 1 to 199 an errno, HOSTILE_*
 * otherwise; of the holder also 210, and the signal in the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include HOLDER_HEADER
#include "attacks.h"
#include "command.h"
#include "escapes.h"
#include "hostile.h"
#include "place.h"
#include "tasks.h"
#include "test_words.h"

#ifdef CLOISTER_SANITIZE
/* AddressSanitizer ends a program that may not set the limit of core files, as the filter says. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0:symbolize=0:allocator_may_return_null=1:disable_coredump=0";
}
#endif

static int fail(const char *what, int error)
{
    dprintf(2, "%s: %s\n", what, strerror(error));
    return HOSTILE_NOT_LOCKED;
}

/* Signals that it was told to leave alone are no business of the command's. */
static void execute(char **words)
{
    char *arguments[TEST_WORDS_MAX + 2] = {NULL};
    char self[] = "holder";
    int null = open("/dev/null", O_RDWR);
    arguments[0] = self;
    for (int i = 0; words[i] != NULL; i++)
        arguments[i + 1] = words[i];
    if (null < 0 || dup2(null, 0) != 0 || dup2(2, 1) != 1 || close_range(3, ~0U, 0) != 0)
        _exit(fail("descriptors", errno));
    execve("/proc/self/exe", arguments, (char *[]){NULL});
    _exit(fail("execve", errno));
}

/* The program's words; "end" lets everything end with it. */
static int hold(char **words)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        execute(words);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return fail("fork", errno);
    kill(-1, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        continue;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    dprintf(2, "signal %d\n", WTERMSIG(status));
    return 210;
}

static int begin(char **argv)
{
    char *words[TEST_WORDS_MAX + 1];
    int count = test_words(words);
    if (count < 2 || strcmp(argv[1], HOLDER_FILTER.kind) != 0)
        return HOSTILE_BROKEN;
    if (prctl(PR_SET_DUMPABLE, 0) != 0)
        return fail("dumpable", errno);
    int error = strcmp(words[0], "closed") == 0 ? sandbox_command(&HOLDER_FILTER) : 0;
    return error != 0 ? fail("filter", -error) : hold(words + 1);
}

/* "escape NAME TARGET", "attack NAME TARGET" or "task NAME". First it says that it has come so far.
 */
static int act(char **argv)
{
    if (write(2, PLACE_BEGUN, strlen(PLACE_BEGUN)) < 0)
        return HOSTILE_BROKEN;
    if (strcmp(argv[1], "task") == 0)
        return task_run(argv[2]);
    struct escape_target target;
    if (argv[3] == NULL || escape_target_read(&target, argv[3]) != 0)
        return HOSTILE_BROKEN;
    if (strcmp(argv[1], "escape") == 0) {
        const struct escape *escape = escape_find(argv[2]);
        return escape == NULL ? HOSTILE_BROKEN : -escape->run(&target);
    }
    const struct attack *attack = attack_find(argv[2]);
    struct attack_target plain = {target.victim, target.channel, target.x11};
    return attack == NULL ? HOSTILE_BROKEN : -attack->run(&plain);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        _exit(0); /* the attack "execve itself" has succeeded */
    _exit(argc == 2 ? begin(argv) : argc > 2 ? act(argv) : HOSTILE_BROKEN);
}

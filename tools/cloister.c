/* cloister: the command line of administrator and user. */
#include "command.h"

#include <errno.h>
#include <stdio.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const struct command {
    const char *name;
    int (*run)(struct command_line *line, int argc, char **argv);
    const char *synopsis, *summary;
} commands[] = {
    {"status", status_command, "status [--json]", "connection, screenshots, workers, isolation"},
    {"pause", pause_command, "pause [DURATION]", "take no screenshots for 15m, 90s, 2h, ..."},
    {"resume", resume_command, "resume", "take screenshots again"},
    {"ticket", ticket_command, "ticket [ARGS...]", "open a ticket (cloister-ticket)"},
    {"identity", identity_command, "identity [--json]", "this machine's id and fingerprint"},
    {"enroll", enroll_command, "enroll TOKEN", "make this machine known to the console (root)"},
    {"commands", commands_command, "commands [--follow]", "signed commands: keys, what ran"},
    {"key", key_command, "key reset", "give this machine's key up for a new one (root)"},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(void)
{
    puts("usage: cloister [--runtime DIR] COMMAND [ARGS...]\n"
         "       cloister --help | --version\n"
         "\n"
         "Talks to the Cloister agent that runs on this machine.\n");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-20s %s\n", commands[i].synopsis, commands[i].summary);
    puts("\n"
         "'cloister COMMAND --help' says more.\n"
         "\n"
         "  --runtime DIR        the agent's runtime folder (default " DOOR_RUNTIME_DEFAULT ")\n"
         "\n"
         "exit status:");
    program_exit_print(stdout);
}

/* The keys are in the vault's binary, and only that knows them. */
static int print_keys(void)
{
    static char name[] = "cloister-vault", option[] = "--version";
    char path[4096], *arguments[] = {name, option, NULL};
    pid_t child;
    int status = 0, error = command_sibling(path, sizeof(path), name);
    fflush(stdout);
    if (!error)
        error = -posix_spawn(&child, path, NULL, NULL, arguments, environ);
    if (error) {
        printf("built-in keys: unknown: %s: %s\n", name, strerror(-error));
        return PROGRAM_EXIT_OK;
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? PROGRAM_EXIT_OK : PROGRAM_EXIT_FAILED;
}

static int print_version(void)
{
#ifdef CLOISTER_SANITIZE
    puts("cloister " CLOISTER_VERSION " (build overlay \"sanitizer\": for tests, not for use)");
#else
    puts("cloister " CLOISTER_VERSION);
#endif
    return print_keys();
}

int ticket_command(struct command_line *line, int argc, char **argv)
{
    static char name[] = "cloister-ticket", option[] = "--runtime";
    char path[4096];
    char **arguments = calloc((size_t)argc + 3, sizeof(*arguments));
    int count = 0, error = command_sibling(path, sizeof(path), name);
    if (!arguments)
        return PROGRAM_EXIT_FAILED;
    if (error) {
        command_complain("is /proc mounted?", "ticket: cannot tell where this program lies: %s",
                         strerror(-error));
        free(arguments);
        return PROGRAM_EXIT_FAILED;
    }
    arguments[count++] = name;
    if (line->runtime_given) {
        arguments[count++] = option;
        arguments[count++] = (char *)(uintptr_t)line->runtime;
    }
    memcpy(arguments + count, argv + 1, (size_t)argc * sizeof(*argv)); /* with the NULL */
    execv(path, arguments);
    command_complain("cloister and cloister-ticket have to lie in one folder: install the package "
                     "again",
                     "ticket: cannot start %s: %s", path, strerror(errno));
    free(arguments);
    return PROGRAM_EXIT_FAILED;
}

static int dispatch(struct command_line *line, int argc, char **argv)
{
    for (size_t i = 0; argc > 0 && i < COMMANDS; i++)
        if (strcmp(argv[0], commands[i].name) == 0)
            return commands[i].run(line, argc, argv);
    if (argc > 0)
        command_complain("'cloister --help' lists the commands", "\"%s\" is not a command",
                         command_safe(argv[0]));
    else
        command_complain("'cloister --help' lists the commands", "no command is given");
    return PROGRAM_EXIT_USAGE;
}

/* COMMAND_GO_ON with optind at the command's name, or what to exit with. */
static int parse(struct command_line *line, int argc, char **argv)
{
    static const struct option known[] = {{"version", no_argument, NULL, 'v'}, COMMAND_OPTIONS};
    opterr = 0;
    /* "+": options behind the command's name are the command's. */
    for (int option; (option = getopt_long(argc, argv, "+:", known, NULL)) != -1;) {
        switch (option) {
        case 'R':
            line->runtime = optarg;
            line->runtime_given = true;
            break;
        case 'h':
            print_help();
            return PROGRAM_EXIT_OK;
        case 'v':
            return print_version();
        default:
            command_complain("cloister --help", "%s: %s", command_safe(argv[optind - 1]),
                             option == ':' ? "a value is missing" : "no such option");
            return PROGRAM_EXIT_USAGE;
        }
    }
    return COMMAND_GO_ON;
}

int main(int argc, char **argv)
{
    struct command_line line = {.runtime = DOOR_RUNTIME_DEFAULT};
    int status = parse(&line, argc, argv);
    if (status == COMMAND_GO_ON)
        status = dispatch(&line, argc - optind, argv + optind);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == PROGRAM_EXIT_OK) {
        command_complain(NULL, "cannot write to standard output: %s", strerror(errno));
        status = PROGRAM_EXIT_FAILED;
    }
    return status;
}

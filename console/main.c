/* cloister-console: the reference command API of Cloister. */
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "commands.h"
#include "exit_status.h"
#include "log.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"serve", command_serve, "serve agents"},
    {"ca", command_ca, "print the CA certificate that agents must trust"},
    {"token", command_token, "make an enrolment token"},
    {"machines", command_machines, "list the machines"},
    {"approve", command_approve, "approve a machine by its fingerprint"},
    {"revoke", command_revoke, "revoke a machine"},
    {"tickets", command_tickets, "list the tickets"},
    {"ticket", command_ticket, "show a ticket, or copy its sealed bundle out"},
    {"push", command_push, "queue signed commands for machines"},
    {"commands", command_commands, "list the commands, and what became of each"},
    {"outputs", command_outputs, "print, or wait for, what a command wrote"},
    {"receipts", command_receipts, "show what machines signed about commands"},
    {"forget", command_forget, "delete a command with its output and receipt"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *f)
{
    fputs("Usage: cloister-console COMMAND [OPTION]...\n"
          "The reference command API of Cloister: enrols machines, receives sealed tickets,\n"
          "passes on signed commands.\n\n",
          f);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\ncloister-console COMMAND --help says more. --version shows the version.\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused.\n",
          f);
}

int main(int argc, char **argv)
{
    log_setup("cloister-console", 0);
    if (sodium_init() < 0) {
        fputs("cloister-console: no source of randomness\n", stderr);
        return EXIT_FAILED;
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("cloister-console " CLOISTER_VERSION);
        return EXIT_DONE;
    }
    for (size_t i = 0; argc > 1 && i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    if (argc > 1)
        fprintf(stderr, "cloister-console: unknown command: %s\n", argv[1]);
    print_help(stderr);
    return EXIT_USAGE;
}

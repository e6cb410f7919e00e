/* cloister-sign: signs commands off line, and checks what comes back. */
#include "cli.h"

#include <errno.h>
#include <string.h>

#include "complain.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *synopsis, *summary;
} commands[] = {
    {"keygen", keygen_command, "keygen --kid ID", "make a key, print its public half"},
    {"jwk", jwk_command, "jwk --key KEY --kid ID", "print the public half of a key"},
    {"keys", keys_command, "keys FILE...", "put public keys into one set"},
    {"stamp", stamp_command, "stamp --keys SET BINARY", "build keys into a finished vault"},
    {"sign", sign_command, "sign --key KEY ... -- PROGRAM", "sign a command"},
    {"countersign", countersign_command, "countersign --key KEY FILE",
     "sign a signed command again"},
    {"revoke", revoke_command, "revoke --key KEY KID...", "retire keys for good"},
    {"show", show_command, "show FILE", "everything that a token would do"},
    {"verify-receipt", verify_receipt_command, "verify-receipt FILE",
     "check what a machine answered"},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(void)
{
    puts("usage: cloister-sign COMMAND [ARGS...]\n"
         "       cloister-sign --help | --version\n"
         "\n"
         "Signs commands for Cloister agents, off line: nothing here talks to anybody.\n");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-30s %s\n", commands[i].synopsis, commands[i].summary);
    puts("\n"
         "'cloister-sign COMMAND --help' says more.\n"
         "\n"
         "exit status:\n"
         "   0  done; show, verify-receipt: it holds\n"
         "   1  tried and failed; show, verify-receipt: it does not hold\n"
         "   2  wrong usage; nothing was tried\n"
         "   3  cancelled by the user");
}

static int dispatch(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        print_help();
        return PROGRAM_EXIT_OK;
    }
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        puts("cloister-sign " CLOISTER_VERSION);
        return PROGRAM_EXIT_OK;
    }
    for (size_t i = 0; argc > 1 && i < COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (argc > 1)
        complain("'cloister-sign --help' lists the commands", "\"%s\" is not a command",
                 shown(argv[1]));
    else
        complain("'cloister-sign --help' lists the commands", "no command is given");
    return PROGRAM_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    int status = dispatch(argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == PROGRAM_EXIT_OK) {
        complain(NULL, "cannot write to standard output: %s", strerror(errno));
        status = PROGRAM_EXIT_FAILED;
    }
    return status;
}

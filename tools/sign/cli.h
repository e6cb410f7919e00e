/*
 * The command line of cloister-sign: its subcommands, and what they share. One thread.
 *
 * A subcommand gets its own arguments (argv[0] is its name) and returns what to exit with:
 * PROGRAM_EXIT_OK, _FAILED, _USAGE or _CANCELLED of door/program_exit.h.
 */
#ifndef CLOISTER_SIGN_CLI_H
#define CLOISTER_SIGN_CLI_H

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#include "key.h"
#include "program_exit.h"

int keygen_command(int argc, char **argv);         /* keys.c */
int jwk_command(int argc, char **argv);            /* keys.c */
int keys_command(int argc, char **argv);           /* keys.c */
int sign_command(int argc, char **argv);           /* sign.c */
int countersign_command(int argc, char **argv);    /* countersign.c */
int revoke_command(int argc, char **argv);         /* countersign.c */
int show_command(int argc, char **argv);           /* show_command.c */
int verify_receipt_command(int argc, char **argv); /* verify_receipt.c */
int stamp_command(int argc, char **argv);          /* stamp.c */

/* ---- options that several have; their letters are capitals, and 'h' ---- */

struct cli_key {
    struct key_source source;
    const char *kid;
};

#define CLI_KEY_OPTIONS                                                                            \
    {"key", required_argument, NULL, 'K'}, {"kid", required_argument, NULL, 'I'},                  \
        {"provider", required_argument, NULL, 'P'},                                                \
        {"passphrase-file", required_argument, NULL, 'F'},                                         \
    {                                                                                              \
        "passphrase-fd", required_argument, NULL, 'D'                                              \
    }

#define CLI_KEY_HELP                                                                               \
    "  --key KEY              a file (PEM or DER), or the URI of a key behind an OpenSSL "         \
    "provider\n"                                                                                   \
    "                         (pkcs11:..., handle:...)\n"                                          \
    "  --kid ID               the key's id: 1 to 32 of a-z, 0-9, '.', '_', '-'\n"                  \
    "  --provider NAME        load this OpenSSL provider too; up to 4\n"                           \
    "  --passphrase-file FILE its first line is the key's passphrase or the token's PIN; without " \
    "it\n"                                                                                         \
    "                         the terminal asks\n"                                                 \
    "  --passphrase-fd N      likewise, from a descriptor\n"

/* Every subcommand's list ends with this. */
#define CLI_OPTIONS                                                                                \
    {"help", no_argument, NULL, 'h'},                                                              \
    {                                                                                              \
        NULL, 0, NULL, 0                                                                           \
    }

enum { CLI_GO_ON = -1 };

/*
 * Parses options; operands begin at optind afterwards. `take` is called with each option's letter
 * and value, and returns false if the value is wrong, having said so. --help is handled here. With
 * `stop` the first operand ends the options, as for a command line within the command line;
 * otherwise operands may stand anywhere. Returns CLI_GO_ON, or what to exit with.
 */
int cli_parse(int argc, char **argv, const struct option *options, const char *help, bool stop,
              bool (*take)(void *context, int option, char *value), void *context);

/* For `take`: an option of CLI_KEY_OPTIONS. Returns false, having complained, if it is wrong. */
bool cli_take_key(struct cli_key *key, int option, char *value);

/* Whether both --key and --kid were given; complains if not. */
bool cli_has_key(const struct cli_key *key, const char *command);

/* Guards the process and opens the key, whose passphrase is then forgotten. NULL: has complained.
 */
EVP_PKEY *cli_open_key(struct cli_key *key);

/* Whether there are between `least` and `most` operands; complains if not. */
bool cli_operands(int argc, char **argv, int least, int most);

/*
 * Writes a token to a file (replacing what is there) or, if `path` is NULL, to standard output,
 * where a terminal gets a line end too. Returns an exit status, having complained.
 */
int cli_write_token(const char *path, const char *token);

/*
 * Asks at the terminal, if standard error is one, to type `word` after `reason`. Returns CLI_GO_ON,
 * at once if `yes`, or PROGRAM_EXIT_CANCELLED having said so.
 */
int cli_confirm_word(const char *reason, const char *word, bool yes);

/* The same for a command: asks only if its profile is above "diagnostic". */
int cli_confirm(unsigned profile, bool yes);

#endif

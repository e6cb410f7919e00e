/*
 * What the subcommands of `cloister` share: the command line's common part, and talking to the
 * agent. One thread.
 *
 * A subcommand is a function that gets its own arguments (argv[0] is its name) and returns an
 * enum program_exit. What it says to people goes to standard output, what went wrong to standard
 * error as "cloister: what: why", with a second line that says what to do.
 */
#ifndef CLOISTER_TOOLS_COMMAND_H
#define CLOISTER_TOOLS_COMMAND_H

#include <getopt.h>
#include <stdbool.h>

#include "door_client.h"
#include "program_exit.h"

struct command_line {
    const char *runtime; /* --runtime, or the default */
    bool runtime_given;
};

/* ---- the subcommands; `line` may already hold a --runtime that stood before the name ---- */
int status_command(struct command_line *line, int argc, char **argv);   /* status.c */
int pause_command(struct command_line *line, int argc, char **argv);    /* control.c */
int resume_command(struct command_line *line, int argc, char **argv);   /* control.c */
int key_command(struct command_line *line, int argc, char **argv);      /* control.c */
int identity_command(struct command_line *line, int argc, char **argv); /* identity.c */
int enroll_command(struct command_line *line, int argc, char **argv);   /* enroll.c */
int commands_command(struct command_line *line, int argc, char **argv); /* commands.c */
int ticket_command(struct command_line *line, int argc, char **argv);   /* cloister.c */

/* ---- command.c ---- */

/* Every subcommand's options: its own, then these. --help and --runtime are handled. */
#define COMMAND_OPTIONS                                                                            \
    {"runtime", required_argument, NULL, 'R'}, {"help", no_argument, NULL, 'h'},                   \
    {                                                                                              \
        NULL, 0, NULL, 0                                                                           \
    }

enum { COMMAND_GO_ON = -1 };

/*
 * Parses options, permuting argv so that operands begin at optind. `take` is called for each option
 * of the subcommand's own with its `val` and optarg (may be NULL if there are none) and returns
 * false if the value is wrong, having said so. Returns COMMAND_GO_ON, or what to exit with.
 */
int command_parse(struct command_line *line, int argc, char **argv, const struct option *options,
                  const char *help, bool (*take)(void *context, int option, char *value),
                  void *context);

/* For command_parse, where the one option of the subcommand's own is a flag: sets the bool at
 * `context`. */
bool command_take_flag(void *context, int option, char *value);

/* Whether there are between `least` and `most` operands; says so if not. */
bool command_operands(int argc, char **argv, int least, int most);

/* Writes "cloister: ..." and, if `advice` is not NULL, a line with it, to standard error. */
void command_complain(const char *advice, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Says that `what` is root's alone unless this is root. Returns whether it is. */
bool command_root(const char *what);

/* Enters the agent's door as who one is. PROGRAM_EXIT_OK, or complains and says what to exit with.
 */
int command_enter(struct door *door, const struct command_line *line);

/*
 * Asks and decodes the answer of type `expected` into `out`. Returns PROGRAM_EXIT_OK; or, having
 * complained that `what` did not work, what to exit with. If `refused` is not NULL a refusal is
 * left to the caller: it is filled, nothing is said, and the result is PROGRAM_EXIT_REFUSED.
 */
int command_ask(struct door *door, const char *what, uint16_t number, const void *body,
                uint16_t expected, void *out, ipc_Refused *refused);

/* The same for a request with a blob. */
int command_ask_with(struct door *door, const char *what, uint16_t number, const void *body,
                     const void *blob, size_t blob_length, uint16_t expected, void *out,
                     ipc_Refused *refused);

/*
 * Writes the path of a program that lies in this one's folder. Returns 0 or -errno.
 */
int command_sibling(char *out, size_t capacity, const char *name);

/*
 * `text` of another process as it may be shown, in one of four buffers that are used in turn.
 */
const char *command_safe(const char *text);

/* Writes `length` bytes as lower-case hexadecimal digits into `out`, 2 * length + 1 bytes. */
void command_hex(char *out, const uint8_t *bytes, size_t length);

#endif

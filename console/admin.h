/*
 * What the administrator's commands share: opening the state folder, showing hostile text, times
 * and sizes. One thread.
 */
#ifndef CONSOLE_ADMIN_H
#define CONSOLE_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "machines.h"
#include "store.h"

/* Options that every administrator's command has. */
struct admin_options {
    const char *state;
    bool json;
};

struct admin {
    struct store *store;
    int state;        /* the folder's descriptor */
    bool server_runs; /* a server holds the folder's lock */
};

/* Opens an existing state folder. True, or false after saying why on stderr. */
bool admin_open(struct admin *a, const char *state);

/* Closes it; safe after a failed admin_open. */
void admin_close(struct admin *a);

/* Tells a running server that the database was changed, so that it acts at once. */
void admin_wake(const struct admin *a);

/* Reads the machine that `text` names. EXIT_DONE, or another exit status after saying why. */
int admin_find_machine(struct admin *a, const char *text, struct machine *m);

/* Writes `text` to `out` with everything but printable ASCII escaped. Returns out. */
const char *admin_show(char *out, size_t capacity, const char *text);

/* Writes a time as "2026-11-22 08:47:27Z", "-" for 0. Returns out (32 bytes). */
const char *admin_time(char out[32], uint64_t time_ms);

/* Writes the first `bytes` bytes in hexadecimal, terminated. Returns out. */
const char *admin_hex(char *out, const uint8_t *data, size_t bytes);

/* Reads "90s", "30m", "24h" or "7d", at most `max_ms`. False if it is none. */
bool admin_parse_span(const char *text, uint64_t max_ms, uint64_t *out_ms);

/* Prints `value`, whose reference is taken over, and a line end to stdout, in ASCII. True, or
 * false after saying why. */
bool admin_print_json(json_t *value);

/*
 * Reads the options common to all commands (--state, --config, --json, --help) and leaves the rest
 * to `more`, which gets getopt's character and optarg and returns false for what it does not know.
 * Returns the index of the first operand, or -1 - exit status when the command is over (help shown,
 * usage wrong). `extra` is a list of long options ended by a NULL name, or NULL.
 */
struct option;
int admin_parse(int argc, char **argv, const char *help, const struct option *extra,
                bool (*more)(void *context, int c, const char *value), void *context,
                struct admin_options *out);

#endif

/* The command line of cloister-ticket. Pure; the texts point into argv. */
#ifndef CLOISTER_OPTIONS_H
#define CLOISTER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#define OPTIONS_EDITS_MAX 64

enum option_edit_kind {
    OPTION_DROP,
    OPTION_KEEP, /* drops all others */
    OPTION_REDACT,
    OPTION_NO_TITLE,
};

/* What is to be done to the frames, in the order of the command line. */
struct option_edit {
    enum option_edit_kind kind;
    const char *value;
};

struct options {
    bool help, version, list, json, yes, wait_for_connection;
    const char *description; /* NULL: none given; "-": standard input */
    const char *agent;       /* the agent's runtime folder */
    const char *until;       /* the newest frame that may go, by id; NULL: none given */
    size_t edit_count;
    struct option_edit edits[OPTIONS_EDITS_MAX];
};

/*
 * Reads the command line. Returns 0; or 1 with a sentence in `complaint` (of `capacity` bytes),
 * which quotes the argument as it is: escape it.
 */
int options_parse(struct options *out, int argc, char **argv, char *complaint, size_t capacity);

/* The text of --help. */
extern const char options_help[];

#endif

/*
 * A command's payload out of what was said on a command line (docs/commands.md). One thread;
 * functions complain themselves.
 */
#ifndef CLOISTER_SIGN_COMMAND_BUILD_H
#define CLOISTER_SIGN_COMMAND_BUILD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "files.h"

struct command_build {
    json_t *aud, *env; /* made by command_build_start */
    const char *jti, *profile;
    uint64_t seq, nbf, exp;
    uint64_t time_ms, output_bytes; /* UINT64_MAX: not said */
    struct file script, input;      /* bytes NULL: none */
    char **words;                   /* a program and its arguments, or a script's arguments */
    size_t word_count;
};

/* Makes the lists, and leaves the limits unsaid. */
bool command_build_start(struct command_build *build);

/* Adds a machine id (`prefix` "") or a group ("group:"). */
bool command_build_audience(struct command_build *build, const char *prefix, const char *name);

/* Adds "NAME=value". */
bool command_build_env(struct command_build *build, const char *assignment);

/* Reads a file into the script or the standard input; the option is named in complaints. */
bool command_build_file(struct file *out, const char *option, const char *path);

/* The payload, compact JSON, for the caller to free. NULL: a text is not UTF-8, or no memory. */
char *command_build_payload(const struct command_build *build);

/* Frees everything. */
void command_build_free(struct command_build *build);

#endif

/*
 * What a token would do, for people: whatever a signer or a console wrote is escaped, so that
 * nothing reaches a terminal but printable ASCII and line ends. One thread.
 */
#ifndef CLOISTER_SIGN_SHOW_H
#define CLOISTER_SIGN_SHOW_H

#include <stdio.h>

#include "jwk.h"
#include "jws.h"
#include "payload.h"

#define SHOW_LABEL "%-15s "

/* Writes bytes escaped: printable ASCII as it is, a backslash as \\, tab, CR and NUL as \t \r \0,
 * everything else as \xHH. A line end becomes \n. */
void show_escaped(FILE *out, const void *bytes, size_t length);

/* Writes bytes as escaped lines, each behind "  | ". */
void show_lines(FILE *out, const uint8_t *bytes, size_t length);

/* Writes what a command would do. `now` is seconds since 1970, to judge the window by. */
void show_payload_command(FILE *out, const struct payload_command *command, uint64_t now);

/* Writes the ids of a list of revoked keys. */
void show_revocation(FILE *out, const json_t *list);

/*
 * Writes all of a token, of the countersigned one inside it, or of a receipt. With `keys`
 * signatures are checked (a receipt's never is). Returns whether its form is right and, if keys
 * were given, each signature holds.
 */
bool show_token(FILE *out, const char *text, size_t length, const struct command_keys *keys,
                uint64_t now);

/* Writes the members of a receipt. Returns NULL, or what is wrong with it. */
const char *show_receipt(FILE *out, const struct jws *jws);

#endif

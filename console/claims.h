/*
 * What a token says about itself, for people: nothing here is verified, nothing depends on it. The
 * machines verify tokens; a console passes them on (docs/commands.md). Reads hostile input. Pure
 * functions; any thread.
 */
#ifndef CONSOLE_CLAIMS_H
#define CONSOLE_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct claims {
    bool compact; /* it has the form of a compact JWS; otherwise all else is empty */
    /* All strings are hostile until escaped, and "" where it does not say. */
    char kid[33], id[33], profile[17]; /* kid: of a countersigned token its first signer's */
    char what[256]; /* the program or script with its arguments, or the keys that it revokes; cut */
    uint64_t expires_s; /* seconds since 1970, 0: it does not say */
};

/* Reads what there is to read of `length` bytes of token. */
void claims_read(struct claims *out, const char *token, size_t length);

#endif

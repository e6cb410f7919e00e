/*
 * For the tests of this folder: signed commands to order, over token_sample.h.
 */
#ifndef CLOISTER_VAULT_COMMAND_SAMPLE_H
#define CLOISTER_VAULT_COMMAND_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "token.h"
#include "token_sample.h"

struct command_sample {
    enum sample_key key;
    const char *audience; /* one text */
    const char *profile;
    uint64_t seq, nbf, exp;
    uint32_t jti;     /* its last four bytes; the others are zero */
    const char *more; /* members beside these, beginning with a comma; or NULL */
};

/* Signs it into `out` (TOKEN_BYTES_MAX + 1 bytes). Returns the token's length. */
size_t command_sample_sign(char *out, const struct command_sample *sample);

/* The same token with another signature that is right too (ECDSA: n - s). */
void command_sample_malleate(char *token, size_t length);

#endif

/*
 * The payload of a token, once it is authentic: a JSON object as docs/commands.md describes it,
 * with nothing missing, nothing more and nothing twice.
 */
#ifndef CLOISTER_VAULT_PAYLOAD_H
#define CLOISTER_VAULT_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "token.h"

/*
 * Readies jansson, so that nothing of it opens a file or asks for randomness afterwards; `seed` is
 * random. Returns 0 or -EIO.
 */
int payload_start(size_t seed);

/*
 * Reads `length` bytes into `out` (its storage too), and sets its `known` to TOKEN_COMMAND or
 * TOKEN_REVOCATION. False if they are neither: then what it has filled means nothing, and `known`
 * is as it was. `revoked_mask` and `summary` are left alone. Heap that it uses is bounded by a
 * small multiple of `length`, and given back. One thread at a time.
 */
bool payload_read(struct token *out, const uint8_t *bytes, size_t length);

#endif

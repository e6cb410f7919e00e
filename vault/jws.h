/*
 * JSON Web Signatures in compact form (RFC 7515 section 7.1), taken apart. Nothing is parsed: a
 * protected header is compared as a whole with the one that its key must have.
 */
#ifndef CLOISTER_VAULT_JWS_H
#define CLOISTER_VAULT_JWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "command_keys.h"

struct jws_part {
    const uint8_t *bytes;
    size_t length;
};

struct jws {
    struct jws_part signing; /* what was signed: header, dot and payload, as they stand */
    struct jws_part header, payload, signature; /* decoded */
};

/*
 * Takes `length` bytes apart into three parts, none empty, decoded into `scratch`: `capacity` of
 * three quarters of `length` is enough. False if they are not that. Pure; any thread.
 */
bool jws_decode(struct jws *out, uint8_t *scratch, size_t capacity, const uint8_t *bytes,
                size_t length);

/* Whether the protected header is {"alg":"ES256","kid":"<kid>"}, byte for byte. */
bool jws_header_is(const struct jws_part *header, const char *kid);

#endif

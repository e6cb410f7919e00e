/*
 * The members of a payload, one reader for each form. Inner part of payload.c.
 *
 * Each reader takes the member of that name, and is false if it is absent, of another type or out
 * of bounds. Texts and bytes are copied into the token's storage, for which the payload's own
 * length is always enough.
 */
#ifndef CLOISTER_VAULT_PAYLOAD_FIELDS_H
#define CLOISTER_VAULT_PAYLOAD_FIELDS_H

#include <jansson.h>

#include "token.h"

#define PAYLOAD_INTEGER_MAX ((UINT64_C(1) << 53) - 1) /* what every JSON library keeps exactly */

struct payload {
    json_t *object;
    struct token *out;
    size_t taken; /* members that were read */
};

/* Whether there is such a member; it is not taken. */
bool payload_has(const struct payload *p, const char *name);

/* Whether all members were taken. */
bool payload_is_whole(const struct payload *p);

/* The text `value`, and nothing else. */
bool payload_is(struct payload *p, const char *name, const char *value);

/* An integer of `min` to `max`, written without fraction or exponent. */
bool payload_integer(struct payload *p, const char *name, uint64_t *out, uint64_t min,
                     uint64_t max);

/* `size` bytes in lower-case hexadecimal. */
bool payload_hex(struct payload *p, const char *name, uint8_t *out, size_t size);

/* Any number of bytes in canonical base64url; *out is NULL if there are none. */
bool payload_bytes(struct payload *p, const char *name, const uint8_t **out, size_t *length);

/* A list of `min` to `max` texts. */
bool payload_texts(struct payload *p, const char *name, const char **out, uint32_t *count,
                   uint32_t min, uint32_t max);

/* `aud`, `profile`, `env` and, of a revocation, `revoked`, into the token. */
bool payload_audience(struct payload *p);
bool payload_profile(struct payload *p);
bool payload_environment(struct payload *p);
bool payload_revoked(struct payload *p);

#endif

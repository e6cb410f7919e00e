/*
 * The compact form of a JSON Web Signature (RFC 7515 section 3.1): three parts of base64url. Reads
 * hostile input. Pure functions; any thread.
 */
#ifndef CONSOLE_JWS_H
#define CONSOLE_JWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jws_part {
    const char *text; /* points into the input */
    size_t length;
};

/* The parts in order: protected header, payload, signature. False unless there are just three, none
 * of them empty, of base64url's characters. */
bool jws_split(struct jws_part parts[3], const char *text, size_t length);

/*
 * Decodes canonical base64url without padding (RFC 4648 section 5) to at most `capacity` bytes.
 * False if it is anything else.
 */
bool jws_decode(uint8_t *out, size_t capacity, size_t *length, const struct jws_part *part);

#endif

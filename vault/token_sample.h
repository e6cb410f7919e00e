/*
 * Signed tokens for the tests and fuzzers of this folder: made here with libcrypto, with keys whose
 * private halves stand in token_sample.c. They are worth nothing.
 */
#ifndef CLOISTER_VAULT_TOKEN_SAMPLE_H
#define CLOISTER_VAULT_TOKEN_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "command_keys.h"

enum sample_key {
    SAMPLE_DIAGNOSTIC, /* kid "ops-1" */
    SAMPLE_ADMIN,      /* "ops-2", revokes */
    SAMPLE_CUSTOMER,   /* "customer", countersigns */
    SAMPLE_KEYS,
};

/* The first `count` of the keys as a table. */
void sample_table(struct command_keys *out, uint32_t count);

/* Signs `payload` with the key; `out` has room for TOKEN_BYTES_MAX + 1. Returns the length. */
size_t sample_sign(char *out, enum sample_key key, const void *payload, size_t length);

/* A payload that is accepted, with `profile`. */
const char *sample_payload(const char *profile);

#endif

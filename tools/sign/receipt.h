/*
 * Receipts: what a machine signed about a command (docs/commands.md). One thread.
 */
#ifndef CLOISTER_SIGN_RECEIPT_H
#define CLOISTER_SIGN_RECEIPT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "digest.h"
#include "jws.h"

struct receipt_stream {
    uint64_t bytes, dropped;
    uint8_t sha256[DIGEST_SIZE];
};

struct receipt {
    json_t *root; /* all texts lead into it */
    const char *machine, *token, *jti, *kid, *profile, *decision, *reason;
    const char *limit; /* NULL unless it ran, likewise what follows */
    uint64_t seq;
    const char *end; /* "exit", "signal" or "errno" */
    uint64_t code;
    struct receipt_stream out, err;
    uint64_t accepted_ms, started_ms, ended_ms; /* 0: absent */
};

/*
 * Reads a receipt's payload, and compares the machine with the one that the header names. Returns
 * NULL, or what is wrong with it; then *out is empty.
 */
const char *receipt_read(struct receipt *out, const struct jws *jws);

/* Frees what it holds. */
void receipt_free(struct receipt *receipt);

#endif

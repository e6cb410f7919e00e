/*
 * Compact JSON Web Signatures (RFC 7515 section 7.1), with the two headers of docs/commands.md. One
 * thread.
 */
#ifndef CLOISTER_SIGN_JWS_H
#define CLOISTER_SIGN_JWS_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "command_keys.h"
#include "key.h"

#define JWS_BYTES_MAX 262144

enum jws_kind {
    JWS_COMMAND, /* {"alg":"ES256","kid":"..."}: a command or a revocation */
    JWS_RECEIPT, /* {"alg":"EdDSA","kid":"<machine id>"} */
};

struct jws {
    enum jws_kind kind;
    char kid[65]; /* 1 to 32 characters, or 64 hexadecimal digits of a receipt */
    uint8_t signature[64];
    const char *input; /* what was signed: into the text that was read */
    size_t input_length;
    char *payload; /* decoded; a NUL stands behind it */
    size_t payload_length;
};

/*
 * Takes a compact JWS apart. Returns NULL, or what is wrong with it: more than JWS_BYTES_MAX bytes,
 * not three parts of canonical base64url, a header that is not byte for byte one of the two, a
 * signature that is not 64 bytes. Then *out is empty. `text` must outlive *out.
 */
const char *jws_read(struct jws *out, const char *text, size_t length);

/* Frees the payload, overwriting it. */
void jws_free(struct jws *jws);

/* Whether the signature of a JWS_COMMAND is that key's. */
bool jws_holds(const struct jws *jws, const struct command_key *key);

/*
 * Makes a JWS_COMMAND of a payload. Returns it, to be freed with free(); NULL, having complained,
 * if the key does not sign, or the token would be longer than JWS_BYTES_MAX.
 */
char *jws_make(EVP_PKEY *key, const char *kid, const char *payload, size_t length);

/* The first 16 bytes of the token's SHA-256, which receipts and the wire name it by, as 32
 * hexadecimal digits and NUL. */
void jws_token_id(char out[33], const char *text, size_t length);

#endif

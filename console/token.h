/*
 * Enrolment tokens: "ct1.<selector>.<secret>", 12 and 43 characters of base64url. The selector
 * finds the record, only the SHA-256 of the secret is stored. The secret is 256 random bits, so a
 * plain hash suffices: there is nothing to guess.
 *
 * Pure functions except for the randomness; callable from any thread after sodium_init().
 */
#ifndef CONSOLE_TOKEN_H
#define CONSOLE_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#define TOKEN_SELECTOR_BYTES 9
#define TOKEN_SECRET_BYTES   32
#define TOKEN_HASH_BYTES     32
/* "ct1." 12 "." 43 and the terminator. */
#define TOKEN_TEXT 61

enum token_outcome {
    TOKEN_MALFORMED = 1,
};

/* Draws a new token: what to hand out (a secret: wipe it after use) and what to store. */
void token_make(char text[TOKEN_TEXT], uint8_t selector[TOKEN_SELECTOR_BYTES],
                uint8_t hash[TOKEN_HASH_BYTES]);

/* Takes a token apart into what is looked up and what is compared. 0 or TOKEN_MALFORMED. */
int token_parse(const char *text, uint8_t selector[TOKEN_SELECTOR_BYTES],
                uint8_t hash[TOKEN_HASH_BYTES]);

/* Compares two hashes in constant time. */
bool token_equal(const uint8_t a[TOKEN_HASH_BYTES], const uint8_t b[TOKEN_HASH_BYTES]);

#endif

#include "token.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#define PREFIX         "ct1."
#define SELECTOR_CHARS 12
#define SECRET_CHARS   43

/* libsodium's code and not base64url.h: what a secret is made of indexes no table. */
static void to_text(char *out, size_t capacity, const uint8_t *in, size_t length)
{
    sodium_bin2base64(out, capacity, in, length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static bool from_text(uint8_t *out, size_t length, const char *in, size_t chars)
{
    size_t got = 0;
    return sodium_base642bin(out, length, in, chars, NULL, &got, NULL,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
           got == length;
}

void token_make(char text[TOKEN_TEXT], uint8_t selector[TOKEN_SELECTOR_BYTES],
                uint8_t hash[TOKEN_HASH_BYTES])
{
    uint8_t secret[TOKEN_SECRET_BYTES];
    char first[SELECTOR_CHARS + 1], second[SECRET_CHARS + 1];
    randombytes_buf(selector, TOKEN_SELECTOR_BYTES);
    randombytes_buf(secret, sizeof(secret));
    crypto_hash_sha256(hash, secret, sizeof(secret));
    to_text(first, sizeof(first), selector, TOKEN_SELECTOR_BYTES);
    to_text(second, sizeof(second), secret, sizeof(secret));
    snprintf(text, TOKEN_TEXT, PREFIX "%s.%s", first, second);
    sodium_memzero(secret, sizeof(secret));
    sodium_memzero(second, sizeof(second));
}

int token_parse(const char *text, uint8_t selector[TOKEN_SELECTOR_BYTES],
                uint8_t hash[TOKEN_HASH_BYTES])
{
    uint8_t secret[TOKEN_SECRET_BYTES];
    const char *first = text + strlen(PREFIX);
    if (strlen(text) != TOKEN_TEXT - 1 || strncmp(text, PREFIX, strlen(PREFIX)) != 0 ||
        first[SELECTOR_CHARS] != '.')
        return TOKEN_MALFORMED;
    if (!from_text(selector, TOKEN_SELECTOR_BYTES, first, SELECTOR_CHARS) ||
        !from_text(secret, sizeof(secret), first + SELECTOR_CHARS + 1, SECRET_CHARS))
        return TOKEN_MALFORMED;
    crypto_hash_sha256(hash, secret, sizeof(secret));
    sodium_memzero(secret, sizeof(secret));
    return 0;
}

bool token_equal(const uint8_t a[TOKEN_HASH_BYTES], const uint8_t b[TOKEN_HASH_BYTES])
{
    return sodium_memcmp(a, b, TOKEN_HASH_BYTES) == 0;
}

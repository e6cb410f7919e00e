/*
 * base64url without padding (RFC 4648 section 5), canonical only: one text for each byte string, so
 * that a token cannot be changed without its bytes changing.
 */
#ifndef CLOISTER_VAULT_BASE64URL_H
#define CLOISTER_VAULT_BASE64URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most bytes that `length` characters can stand for. */
#define BASE64URL_BYTES(length) ((length) / 4 * 3 + 2)

/*
 * Decodes `length` characters into `out`, and sets `*used` to the number of bytes. False if one of
 * them is no character of the alphabet (padding and whitespace are not), if one character stands
 * alone at the end, if its unused bits are not zero, or if the bytes are more than `capacity`; then
 * `out` holds rubbish. Pure; any thread.
 */
bool base64url_decode(uint8_t *out, size_t capacity, size_t *used, const char *text, size_t length);

#endif

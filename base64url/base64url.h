/*
 * base64url without padding (RFC 4648 section 5), canonical only: one text for each byte string, so
 * that a token cannot be changed without its bytes changing. As JOSE (RFC 7515 section 2) and the
 * wire (docs/wire.md) write bytes. Not for keys: characters index a table.
 *
 * Pure functions; any thread.
 */
#ifndef CLOISTER_BASE64URL_H
#define CLOISTER_BASE64URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters that stand for `length` bytes, the NUL included. */
#define BASE64URL_SIZE(length) (((length) / 3 * 4) + ((length) % 3 ? (length) % 3 + 1 : 0) + 1)

/* Writes BASE64URL_SIZE(length) characters to `out`, the last of which is NUL. */
void base64url_encode(char *out, const uint8_t *bytes, size_t length);

/*
 * Decodes `length` characters into `out`, which may begin where `text` does, and sets `*used` to
 * the number of bytes. False if one of them is no character of the alphabet (padding and whitespace
 * are not), if one character stands alone at the end, if its unused bits are not zero, or if the
 * bytes are more than `capacity`; then `out` holds rubbish and `*used` means nothing.
 */
bool base64url_decode(uint8_t *out, size_t capacity, size_t *used, const char *text, size_t length);

/* Whether `text` stands for exactly `size` bytes, which are then in `out`; otherwise as above. */
bool base64url_decode_exactly(uint8_t *out, size_t size, const char *text, size_t length);

#endif

/*
 * base64url without padding (RFC 4648 section 5), as JOSE writes it (RFC 7515 section 2).
 *
 * Pure functions; any thread.
 */
#ifndef CLOISTER_SIGN_BASE64URL_H
#define CLOISTER_SIGN_BASE64URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that base64url_write needs for `length` bytes, the NUL included. */
#define BASE64URL_SIZE(length) (((length) / 3 * 4) + ((length) % 3 ? (length) % 3 + 1 : 0) + 1)

/* Writes BASE64URL_SIZE(length) characters to `out`, the last of which is NUL. */
void base64url_write(char *out, const uint8_t *bytes, size_t length);

/*
 * Reads `length` characters into `out`, which holds `capacity` bytes. Returns false, and *size is
 * undefined, if a character is not of the alphabet, an unused bit is set, the length cannot be, or
 * the bytes do not fit: each byte string has exactly one text. `out` may begin where `text` does.
 */
bool base64url_read(uint8_t *out, size_t capacity, size_t *size, const char *text, size_t length);

#endif

/* SHA-256 (FIPS 180-4), and how digests are written. Any thread. */
#ifndef CLOISTER_SIGN_DIGEST_H
#define CLOISTER_SIGN_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE     32
#define DIGEST_HEX_SIZE 65

/* The SHA-256 of `length` bytes. Aborts if OpenSSL has none. */
void digest_of(uint8_t out[DIGEST_SIZE], const void *bytes, size_t length);

/* Writes `length` bytes as lower-case hexadecimal digits into `out`, 2 * length + 1 bytes. */
void digest_hex(char *out, const uint8_t *bytes, size_t length);

/* Reads exactly 2 * length lower-case hexadecimal digits and the end. */
bool digest_read_hex(uint8_t *out, size_t length, const char *text);

#endif

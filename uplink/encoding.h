/*
 * Notations of bytes beside base64url.h: padded base64 (RFC 4648 section 4), which HTTP and SPKI
 * pins use, and lower-case hexadecimal. Decoding accepts exactly one spelling of each byte string:
 * no white space, no upper case hexadecimal.
 *
 * Pure functions; any thread.
 */
#ifndef CLOISTER_UPLINK_ENCODING_H
#define CLOISTER_UPLINK_ENCODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters needed for `n` bytes, the terminator included. */
#define ENCODING_BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1)
#define ENCODING_HEX_SIZE(n)    ((n)*2 + 1)

/* Writes `length` bytes, at most some KiB, as a terminated string into `out`, of at least
 * ENCODING_BASE64_SIZE. */
void encoding_base64(char *out, const uint8_t *bytes, size_t length);

/* Writes `length` bytes as a terminated string into `out`, of at least ENCODING_HEX_SIZE. */
void encoding_hex(char *out, const uint8_t *bytes, size_t length);

/* Whether the `text_length` characters of `text` are exactly `length` bytes, stored in `out`. */
bool encoding_hex_read(uint8_t *out, size_t length, const char *text, size_t text_length);

#endif

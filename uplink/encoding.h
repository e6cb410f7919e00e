/*
 * The two notations of bytes that the wire knows: base64 (RFC 4648 sections 4 and 5) and lower-case
 * hexadecimal. Decoding accepts exactly one spelling of each byte string: no white space, no upper
 * case hexadecimal, no unused bits set.
 *
 * Pure functions; any thread.
 */
#ifndef CLOISTER_UPLINK_ENCODING_H
#define CLOISTER_UPLINK_ENCODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum encoding_alphabet {
    ENCODING_STANDARD, /* '+', '/', padded with '=': what HTTP and SPKI pins use */
    ENCODING_URL,      /* '-', '_', no padding: what the wire uses */
};

/* Characters needed for `n` bytes in base64 with either alphabet, the terminator included. */
#define ENCODING_BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1)
#define ENCODING_HEX_SIZE(n)    ((n)*2 + 1)

/* Writes `length` bytes as a terminated string into `out`, of at least ENCODING_BASE64_SIZE. */
void encoding_base64(char *out, const uint8_t *bytes, size_t length, enum encoding_alphabet which);

/* Whether the `text_length` characters of `text` are exactly `length` bytes, stored in `out`. */
bool encoding_base64_read(uint8_t *out, size_t length, const char *text, size_t text_length,
                          enum encoding_alphabet which);

/* Writes `length` bytes as a terminated string into `out`, of at least ENCODING_HEX_SIZE. */
void encoding_hex(char *out, const uint8_t *bytes, size_t length);

/* Whether the `text_length` characters of `text` are exactly `length` bytes, stored in `out`. */
bool encoding_hex_read(uint8_t *out, size_t length, const char *text, size_t text_length);

#endif

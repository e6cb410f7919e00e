/*
 * Bech32 (BIP-173), as age uses it: the same alphabet, checksum and case rules, without the limit
 * of 90 characters.
 *
 * Pure functions; any thread may call them.
 */
#ifndef CLOISTER_BECH32_H
#define CLOISTER_BECH32_H

#include <stddef.h>
#include <stdint.h>

/* The longest string that is decoded or encoded, without its terminator. */
#define BECH32_MAX 120

enum bech32_outcome {
    BECH32_LENGTH = 1, /* too short, too long, or the data has not `length` bytes */
    BECH32_CASE,       /* upper and lower case mixed */
    BECH32_CHARACTER,  /* a character that the alphabet does not have, or no separator */
    BECH32_PREFIX,     /* another human-readable part than the expected one */
    BECH32_CHECKSUM,   /* the checksum does not fit: mistyped or damaged */
    BECH32_PADDING,    /* the last character carries bits that do not belong to the data */
};

/*
 * Decodes `text` (terminated), whose human-readable part must be `prefix` (given in lower case),
 * into exactly `length` bytes at `out`. A string in all upper case is the same string.
 * Returns 0, or an enum bech32_outcome; then `out` is zeroed.
 */
int bech32_decode(const char *text, const char *prefix, uint8_t *out, size_t length);

/*
 * Writes `length` bytes with the human-readable part `prefix` (lower case) as a lower-case string
 * into `out`, terminated. Returns 0, or BECH32_LENGTH when `capacity` or BECH32_MAX is too small.
 */
int bech32_encode(char *out, size_t capacity, const char *prefix, const uint8_t *bytes,
                  size_t length);

#endif

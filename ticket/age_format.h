/*
 * What the writer and the reader of age v1 files share: sizes and key derivations of
 * https://age-encryption.org/v1 (C2SP age), and the text form of X25519 keys.
 *
 * Pure functions; any thread may call them. Keys are the caller's to keep in locked memory and to
 * wipe.
 */
#ifndef CLOISTER_AGE_FORMAT_H
#define CLOISTER_AGE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define AGE_VERSION_LINE   "age-encryption.org/v1"
#define AGE_KEY_BYTES      32
#define AGE_FILE_KEY_BYTES 16
#define AGE_TAG_BYTES      16
#define AGE_MAC_BYTES      32
#define AGE_NONCE_BYTES    16
#define AGE_CHUNK_BYTES    65536
/* A wrapped file key: 16 bytes and a tag. */
#define AGE_WRAPPED_BYTES (AGE_FILE_KEY_BYTES + AGE_TAG_BYTES)
/* 43 characters of unpadded base64 and a terminator hold 32 bytes. */
#define AGE_BASE64_32 44
/* Columns of a full line of a stanza's body, 48 bytes. */
#define AGE_COLUMNS 64
/* "age1" and 58 characters, and a terminator. */
#define AGE_RECIPIENT_TEXT 63

/* A public X25519 key that a file is sealed to. */
struct age_recipient {
    uint8_t key[AGE_KEY_BYTES];
};

/* A private X25519 key. Lives in locked memory; wipe it. */
struct age_identity {
    uint8_t key[AGE_KEY_BYTES];
};

/* Receives bytes in order. Returns 0, or a negative errno that stops the writing or reading. */
typedef int age_sink(void *context, const void *bytes, size_t length);

/*
 * Reads "age1..." into `out`. Returns 0 or an enum bech32_outcome; a key of low order, which no
 * secret can be agreed with, is BECH32_CHARACTER.
 */
int age_recipient_parse(struct age_recipient *out, const char *text);

/* Writes the "age1..." form. Cannot fail. */
void age_recipient_format(char out[AGE_RECIPIENT_TEXT], const struct age_recipient *recipient);

/* Reads "AGE-SECRET-KEY-1..." into `out`. Returns 0 or an enum bech32_outcome. */
int age_identity_parse(struct age_identity *out, const char *text);

/* Computes the public half. */
void age_identity_recipient(struct age_recipient *out, const struct age_identity *identity);

/* The key that wraps the file key for `recipient` under the ephemeral `share`. */
void age_wrap_key(uint8_t out[32], const uint8_t shared_secret[32], const uint8_t share[32],
                  const uint8_t recipient[32]);

/* HMAC-SHA-256 of the header from its first byte to the "---" mark included. */
void age_header_mac(uint8_t out[AGE_MAC_BYTES], const uint8_t file_key[AGE_FILE_KEY_BYTES],
                    const void *header, size_t length);

/* The key of the payload's chunks. */
void age_payload_key(uint8_t out[32], const uint8_t file_key[AGE_FILE_KEY_BYTES],
                     const uint8_t nonce[AGE_NONCE_BYTES]);

/* The nonce of chunk number `counter`, which is the last one or not (the STREAM construction). */
void age_chunk_nonce(uint8_t out[12], uint64_t counter, int last);

#endif

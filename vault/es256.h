/*
 * ES256: ECDSA on P-256 with SHA-256 (RFC 7518 section 3.4, FIPS 186-4), verification alone, by
 * OpenSSL 3's libcrypto.
 *
 * es256_start() and es256_key_new() do all that loads, fetches or opens; the others only compute,
 * and may run behind a worker's lock. One thread at a time.
 */
#ifndef CLOISTER_VAULT_ES256_H
#define CLOISTER_VAULT_ES256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ES256_POINT_SIZE     64 /* x and y, 32 bytes each, big-endian */
#define ES256_SIGNATURE_SIZE 64 /* r and s, likewise */
#define ES256_DIGEST_SIZE    32

struct es256_key;

/*
 * Readies libcrypto, without its configuration file, and verifies known answers. Idempotent.
 * Returns 0; -ENOMEM or -EIO if libcrypto fails, or computes something else.
 */
int es256_start(void);

/*
 * Makes a key of a point; es256_start() must have succeeded. Returns 0; -EINVAL if it is no point
 * of the curve; -ENOMEM.
 */
int es256_key_new(struct es256_key **out, const uint8_t point[ES256_POINT_SIZE]);
struct es256_key *es256_key_free(struct es256_key *key);

/* The SHA-256 of `length` bytes. False if libcrypto fails; then `out` is zero. */
bool es256_digest(uint8_t out[ES256_DIGEST_SIZE], const void *bytes, size_t length);

/*
 * Whether `signature` is one of `key` over `length` bytes. r and s must be 1 to n-1. Of r and s,
 * and r and n-s, both are right: ECDSA is malleable.
 */
bool es256_verify(struct es256_key *key, const void *bytes, size_t length,
                  const uint8_t signature[ES256_SIGNATURE_SIZE]);

#endif

/*
 * HKDF with SHA-256 (RFC 5869) for one block of output, built from libsodium's HMAC-SHA-256
 * (libsodium 1.0.18 has no crypto_kdf_hkdf).
 *
 * Pure functions; any thread may call them.
 */
#ifndef CLOISTER_HKDF_H
#define CLOISTER_HKDF_H

#include <stddef.h>
#include <stdint.h>

#define HKDF_KEY_BYTES 32

/*
 * Derives 32 bytes into `out` from `ikm`, `salt` (may be empty: then NULL and 0) and `info`.
 * The intermediate key is wiped; `out` is the caller's to wipe.
 */
void hkdf_sha256(uint8_t out[HKDF_KEY_BYTES], const uint8_t *ikm, size_t ikm_length,
                 const uint8_t *salt, size_t salt_length, const uint8_t *info, size_t info_length);

#endif

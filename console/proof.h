/*
 * Identities and signed strings of docs/wire.md: machine id, fingerprint, and the two things that
 * a machine's Ed25519 key (RFC 8032) signs for the console.
 *
 * Pure functions; callable from any thread once sodium_init() has returned.
 */
#ifndef CONSOLE_PROOF_H
#define CONSOLE_PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Eight groups of four, seven dashes, terminator. */
#define PROOF_FINGERPRINT_TEXT 40
/* RFC 9266: label and length of the channel binding `tls-exporter`. */
#define PROOF_EXPORTER_LABEL  "EXPORTER-Channel-Binding"
#define PROOF_EXPORTER_BYTES  32
#define PROOF_CHALLENGE_BYTES 32

/* SHA-256 of the public key: the machine's id. */
void proof_machine_id(uint8_t id[32], const uint8_t public_key[32]);

/* Writes the fingerprint as people see it, terminated. */
void proof_fingerprint(char out[PROOF_FINGERPRINT_TEXT], const uint8_t public_key[32]);

/*
 * Whether `typed` is the fingerprint of `public_key`. Case, blanks and dashes do not matter;
 * everything else must be there.
 */
bool proof_fingerprint_matches(const char *typed, const uint8_t public_key[32]);

/*
 * Whether `signature` is that of `public_key` over the console-auth string for `host` (terminated,
 * at most 253 bytes), this challenge and this TLS channel.
 */
bool proof_console_auth(const uint8_t signature[64], const uint8_t public_key[32], const char *host,
                        const uint8_t challenge[PROOF_CHALLENGE_BYTES],
                        const uint8_t exporter[PROOF_EXPORTER_BYTES]);

/* Whether `signature` is that of `public_key` over the bundle-origin string of these values. */
bool proof_bundle_origin(const uint8_t signature[64], const uint8_t public_key[32],
                         const uint8_t ticket[16], const uint8_t digest[32], uint64_t size,
                         uint64_t consent_time_ms);

#endif

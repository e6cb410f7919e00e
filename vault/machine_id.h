/*
 * The machine's name: the SHA-256 of its Ed25519 public key (RFC 8032, 32 bytes as they are).
 *
 * The same on both sides of the wire (docs/wire.md, Identities). Nobody hands out machine ids:
 * whoever holds the public key can compute the id, and whoever holds the id can check a public key
 * against it. Pure functions, callable from any thread.
 */
#ifndef CLOISTER_VAULT_MACHINE_ID_H
#define CLOISTER_VAULT_MACHINE_ID_H

#include <stdint.h>

#define MACHINE_PUBLIC_KEY_SIZE 32
#define MACHINE_ID_SIZE         32

/* Lower-case hexadecimal, terminator included. */
#define MACHINE_ID_TEXT_SIZE 65

/* Eight groups of four base32 digits with '-' between, terminator included. */
#define MACHINE_FINGERPRINT_SIZE 40

/* id = SHA-256(public_key). */
void machine_id(uint8_t id[MACHINE_ID_SIZE], const uint8_t public_key[MACHINE_PUBLIC_KEY_SIZE]);

/* The id as people's tools write it: 64 lower-case hexadecimal digits. */
void machine_id_text(char text[MACHINE_ID_TEXT_SIZE], const uint8_t id[MACHINE_ID_SIZE]);

/*
 * What the machine shows and the console's administrator types in to approve it: the first 20 bytes
 * of SHA-256("cloister/v1 fingerprint" NUL public_key) in base32 (RFC 4648 section 6), in groups as
 * "ISF7-WFRS-...". Not a part of the id, so that who has seen ids cannot guess it without the key.
 */
void machine_fingerprint(char text[MACHINE_FINGERPRINT_SIZE],
                         const uint8_t public_key[MACHINE_PUBLIC_KEY_SIZE]);

#endif

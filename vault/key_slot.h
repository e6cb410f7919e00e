/*
 * A slot holds the machine's seed sealed under the install secret and one identifier of the
 * hardware (XChaCha20-Poly1305, draft-irtf-cfrg-xchacha-03; keys by keyed BLAKE2b, RFC 7693), and a
 * tag that tells, without opening anything, whether the identifier of today is the recorded one.
 * The scheme and its limits are in docs/machine-key.md.
 *
 * Callable from any thread. Seeds and secrets that are handed in should lie in secret memory; keys
 * that are derived on the way are wiped.
 */
#ifndef CLOISTER_VAULT_KEY_SLOT_H
#define CLOISTER_VAULT_KEY_SLOT_H

#include "hardware.h"
#include "key_file.h"

/* The identifier that a slot of `kind` is bound to; the empty one for KEY_SLOT_NOTHING. */
const struct hardware_identifier *key_slot_identifier(enum key_slot_kind kind,
                                                      const struct hardware *hardware);

/*
 * Seals `seed`, whose public half is `public_key`, for the hardware of today. The identifier that
 * the kind asks for must be HARDWARE_READABLE.
 */
void key_slot_seal(struct key_slot *out, enum key_slot_kind kind, const struct hardware *hardware,
                   const uint8_t secret[INSTALL_SECRET_SIZE], const uint8_t seed[KEY_SEED_SIZE],
                   const uint8_t public_key[MACHINE_PUBLIC_KEY_SIZE]);

/* 1 if the hardware's identifier is the one that the slot was made for, otherwise 0. */
int key_slot_matches(const struct key_slot *slot, const struct hardware *hardware,
                     const uint8_t secret[INSTALL_SECRET_SIZE]);

/*
 * Opens the slot and checks that the seed belongs to `public_key`. Returns 1 and writes `seed`, or
 * returns 0 with `seed` zeroed.
 */
int key_slot_open(const struct key_slot *slot, const struct hardware *hardware,
                  const uint8_t secret[INSTALL_SECRET_SIZE],
                  const uint8_t public_key[MACHINE_PUBLIC_KEY_SIZE], uint8_t seed[KEY_SEED_SIZE]);

#endif

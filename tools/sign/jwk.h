/*
 * Verification keys as JWK (RFC 7517, RFC 7518 section 6.2) and as the table of the vault's binary
 * (vault/command_keys.h). One thread; functions that read complain themselves.
 */
#ifndef CLOISTER_SIGN_JWK_H
#define CLOISTER_SIGN_JWK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "command_keys.h"

/* Highest profile of a key, as enum ipc_CommandProfile numbers them; -1: no such word. */
int jwk_profile(const char *word);

/* The word of a profile; "?" of a number that is none. */
const char *jwk_profile_name(uint32_t profile);

/* Whether `kid` is 1 to COMMAND_KID_MAX characters of a-z 0-9 . _ -; complains if not. */
bool jwk_kid(const char *kid);

/* The key as a JWK; NULL if memory ran out. */
json_t *jwk_write(const struct command_key *key);

/*
 * Adds the keys of a file to the table: a JWK, or a set ({"keys": [...]}). A key needs `kid`, `kty`
 * EC, `crv` P-256, `x` and `y`; may have `profile`, `countersigns`, `revokes`, `alg` ES256 and
 * `use` sig; other members are not looked at, but `d` (a private key) is refused. Ids and points
 * must be new to the table. Returns false, having complained, if anything is not so.
 */
bool jwk_read_file(struct command_keys *table, const char *path);

/* The key of that id, or NULL. */
const struct command_key *jwk_find(const struct command_keys *table, const char *kid,
                                   size_t length);

/* An empty table. */
void jwk_table(struct command_keys *table);

/*
 * Whether the table is one as the vault takes it: magic, count, each key's id, profile, flags and
 * point, and zeros elsewhere. Returns NULL, or what is wrong.
 */
const char *jwk_table_fault(const struct command_keys *table);

/* Prints one line for each key: id, fingerprint, what it may. */
void jwk_table_print(const struct command_keys *table);

#endif

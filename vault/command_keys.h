/*
 * The verification keys that are built into the vault: a table in a section of its own, so that it
 * can be stamped into a binary that is built already (cloister-sign stamp, docs/commands.md).
 *
 * The section is read-only and exactly COMMAND_KEYS_SECTION_SIZE bytes. Empty unless the build says
 * -DCLOISTER_COMMAND_KEYS=<file>, a JWK set (RFC 7517) whose keys have `kid` and, beside RFC 7518's
 * members of an EC key, `profile` ("diagnostic", "user", "admin"; "none" unless given),
 * `countersigns` and `revokes` (booleans, false unless given).
 */
#ifndef CLOISTER_VAULT_COMMAND_KEYS_H
#define CLOISTER_VAULT_COMMAND_KEYS_H

#include <stdint.h>

#define COMMAND_KEYS_SECTION      ".cloister_keys"
#define COMMAND_KEYS_SECTION_SIZE 1024
#define COMMAND_KEYS_MAGIC        "cloister-keys-1" /* 16 bytes with its NUL */
#define COMMAND_KEYS_MAX          8
#define COMMAND_KID_MAX           32 /* characters of a-z 0-9 . _ - */

#define COMMAND_KEY_COUNTERSIGNS 1u
#define COMMAND_KEY_REVOKES      2u

struct command_key {
    char kid[36];      /* ends in NUL, padded with it */
    uint32_t profile;  /* enum ipc_CommandProfile: the highest that it may sign for */
    uint32_t flags;    /* COMMAND_KEY_* */
    uint8_t point[64]; /* x and y, 32 bytes each, big-endian */
    uint32_t zero;
};

struct command_keys {
    char magic[16];
    uint32_t count; /* of keys; little-endian, as all integers here */
    uint32_t zero;
    struct command_key keys[COMMAND_KEYS_MAX];
    uint8_t rest[COMMAND_KEYS_SECTION_SIZE - 24 - COMMAND_KEYS_MAX * 112];
};

_Static_assert(sizeof(struct command_keys) == COMMAND_KEYS_SECTION_SIZE, "no padding");

#endif

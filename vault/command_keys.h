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

#include <stdbool.h>
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

/* "SHA256:", 43 characters of base64, NUL. */
#define COMMAND_FINGERPRINT_SIZE 52

/* Whether a text is 1 to COMMAND_KID_MAX characters of a-z 0-9 . _ - */
bool command_kid_is_valid(const char *kid);

/*
 * Copies the table out of this binary's section, as it is there now and not as it was compiled.
 * What it says must be checked with command_keys_flaw() before use. Any thread.
 */
void command_keys_built_in(struct command_keys *out);

/*
 * What is wrong with a table: the magic, more than COMMAND_KEYS_MAX keys, a byte that must be zero
 * and is not, a key id that is empty, has other characters or stands there twice, an unknown
 * profile or flag, coordinates that are no point of P-256, or those of another key: it could
 * countersign itself. Returns a sentence that lives for ever,
 * or NULL if nothing is wrong; no key at all is not wrong. Any thread; OpenSSL is used.
 */
const char *command_keys_flaw(const struct command_keys *table);

/*
 * The key's fingerprint, "SHA256:" and the unpadded base64 (RFC 4648 section 4) of the SHA-256 of
 * its SubjectPublicKeyInfo in DER (RFC 5480), as of `openssl pkey -pubin -outform DER`. Any thread;
 * libsodium must have been initialised.
 */
void command_key_fingerprint(char out[COMMAND_FINGERPRINT_SIZE], const struct command_key *key);

/*
 * What `--version` prints: the program and its version, then a line for each built-in key:
 * kid, fingerprint, profile, and "countersigns" and "revokes" where it does. Returns the exit
 * status: 0; 1 if the table is wrong, which is said on standard error, or standard output fails.
 */
int command_keys_print(void);

#endif

/*
 * The two files that the machine's key rests in, as bytes: `install.secret` and `machine.key`.
 * docs/machine-key.md has the layout, the reasons and test vectors.
 *
 * Fixed offsets, little-endian, versioned. A decoder takes a file only if it is of exactly the
 * length that its content asks for, every unused field is zero, and the code at its end is right;
 * so a file has one form, and one that was cut, extended or flipped anywhere is told apart from one
 * that belongs to other hardware. Pure functions, callable from any thread.
 */
#ifndef CLOISTER_VAULT_KEY_FILE_H
#define CLOISTER_VAULT_KEY_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "hardware.h"
#include "machine_id.h"

#define KEY_SEED_SIZE           32
#define INSTALL_SECRET_SIZE     32
#define INSTALL_SECRET_FILE_LEN 74

#define KEY_SLOT_TAG_SIZE   32
#define KEY_SLOT_NONCE_SIZE 24
#define KEY_SLOT_BOX_SIZE   (KEY_SEED_SIZE + 16)
#define KEY_SLOT_LEN        (1 + KEY_SLOT_TAG_SIZE + KEY_SLOT_NONCE_SIZE + KEY_SLOT_BOX_SIZE)

#define KEY_FILE_HEAD_LEN 85
#define KEY_FILE_CODE_LEN 32
#define KEY_FILE_MAX      (KEY_FILE_HEAD_LEN + HARDWARE_PARTS * KEY_SLOT_LEN + KEY_FILE_CODE_LEN)

/* Why the key was made; numbers are those of the file. */
enum key_origin {
    KEY_ORIGIN_FIRST_START = 1,
    KEY_ORIGIN_DISK_CHANGED = 2,
    KEY_ORIGIN_BOARD_CHANGED = 3,
    KEY_ORIGIN_BOTH_CHANGED = 4,
    KEY_ORIGIN_RESET = 5,
};

/* What a slot is bound to beside the install secret; numbers are those of the file. */
enum key_slot_kind {
    KEY_SLOT_NOTHING = 0, /* no identifier could be read: the only slot then */
    KEY_SLOT_DISK = 1,
    KEY_SLOT_BOARD = 2,
};

struct key_slot {
    enum key_slot_kind kind;
    uint8_t tag[KEY_SLOT_TAG_SIZE]; /* recognises the identifier */
    uint8_t nonce[KEY_SLOT_NONCE_SIZE];
    uint8_t box[KEY_SLOT_BOX_SIZE]; /* the seed, sealed */
};

/* The content of `machine.key`. Slots are in ascending order of kind, one each, 1 or 2 of them. */
struct key_record {
    enum key_origin origin;
    int has_previous;
    uint64_t created_ms; /* unix time */
    uint8_t public_key[MACHINE_PUBLIC_KEY_SIZE];
    uint8_t previous_id[MACHINE_ID_SIZE]; /* the machine id before; zero unless has_previous */
    size_t slot_count;
    struct key_slot slots[HARDWARE_PARTS];
};

enum key_file_outcome {
    KEY_FILE_GOOD = 0,
    KEY_FILE_FOREIGN,     /* too short, or does not begin as such a file */
    KEY_FILE_VERSION,     /* made by a program of another version */
    KEY_FILE_MALFORMED,   /* lengths or fields that are never written */
    KEY_FILE_NOT_GENUINE, /* the code at its end is wrong: altered, or of another install secret */
};

/* Writes `install.secret`. `out` holds the secret: keep it in secret memory. */
void install_secret_encode(uint8_t out[INSTALL_SECRET_FILE_LEN],
                           const uint8_t secret[INSTALL_SECRET_SIZE]);

/* Reads it; writes `secret` only when it returns KEY_FILE_GOOD. */
enum key_file_outcome install_secret_decode(uint8_t secret[INSTALL_SECRET_SIZE],
                                            const uint8_t *bytes, size_t length);

/* Writes `machine.key`; returns its length. The record must be well formed as described above. */
size_t key_file_encode(uint8_t out[KEY_FILE_MAX], const struct key_record *record,
                       const uint8_t secret[INSTALL_SECRET_SIZE]);

/* Reads it. `out` is meaningful only when it returns KEY_FILE_GOOD. */
enum key_file_outcome key_file_decode(struct key_record *out, const uint8_t *bytes, size_t length,
                                      const uint8_t secret[INSTALL_SECRET_SIZE]);

/* What an outcome means, for people. */
const char *key_file_outcome_text(enum key_file_outcome outcome);

#endif

/*
 * The machine's key: made at first start, bound to the hardware, kept, replaced when the hardware
 * changes, refused when it is damaged. docs/machine-key.md says how and why.
 *
 * The seed, the install secret and the signing key lie in secret memory from key_store_new to
 * key_store_free. One thread at a time.
 */
#ifndef CLOISTER_VAULT_KEY_STORE_H
#define CLOISTER_VAULT_KEY_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "hardware.h"
#include "key_file.h"
#include "key_notes.h"

struct key_store;

enum key_store_state {
    KEY_STORE_CLOSED, /* not opened yet, or opening failed with an error */
    KEY_STORE_READY,
    KEY_STORE_LOCKED, /* the file is good, but no recorded identifier can be read today */
    KEY_STORE_LOST,   /* damaged or missing: no key until an administrator resets it */
};

/* What anybody may know of the key. */
struct key_public {
    uint8_t public_key[MACHINE_PUBLIC_KEY_SIZE];
    uint8_t id[MACHINE_ID_SIZE];
    enum key_origin origin;
    int has_previous;
    uint8_t previous_id[MACHINE_ID_SIZE];
    uint64_t created_ms; /* unix time */
};

/*
 * Takes secret memory for the store; call it before the lock. Returns 0 or -errno (-ENOMEM,
 * -EAGAIN: memory cannot be locked).
 */
int key_store_new(struct key_store **out);

/* Wipes and frees everything. Accepts NULL, returns NULL. */
struct key_store *key_store_free(struct key_store *store);

/*
 * Finds the key for this hardware in `folder` (state_folder_open), which stays the caller's and
 * must outlive the store, making, replacing or setting aside files as docs/machine-key.md
 * describes. `now_ms` is unix time. Fills `notes` (cleared first). Returns 0 with the outcome in
 * key_store_state, or -errno when the folder could not be read or written: then nothing was lost,
 * no key is served, and a note tells which file it was. May be called again.
 */
int key_store_open(struct key_store *store, int folder, const struct hardware *hardware,
                   uint64_t now_ms, struct key_notes *notes);

/*
 * Makes a new key because an administrator says so, for the hardware of key_store_open, whatever
 * the state. What is there and damaged is set aside first. Returns 0 (state is then READY) or
 * -errno; after an error the old key, if there was one, is served as before.
 */
int key_store_reset(struct key_store *store, uint64_t now_ms, struct key_notes *notes);

enum key_store_state key_store_state(const struct key_store *store);

/* The signing key (seed, then public key: 64 bytes) when READY, otherwise NULL. Do not copy it. */
const uint8_t *key_store_signing_key(const struct key_store *store);

/* The public side when READY or LOCKED, otherwise NULL. Valid until the store changes. */
const struct key_public *key_store_public(const struct key_store *store);

/* What the key at rest is bound to: "disk board", "disk", "board", "install secret alone", or "".
 */
const char *key_store_binding(const struct key_store *store);

#endif

#include "key_store.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "key_files.h"
#include "key_slot.h"
#include "secret_memory.h"

/* Everything that must not leave: in secret memory, wiped when it is freed. */
struct secrets {
    struct key_files_secrets files;
    uint8_t seed[KEY_SEED_SIZE];
    uint8_t signing_key[crypto_sign_SECRETKEYBYTES];
    uint8_t next_seed[KEY_SEED_SIZE]; /* of a key that is being made */
};

struct key_store {
    enum key_store_state state;
    int known; /* there is a genuine record, whose public side is public_side */
    struct hardware hardware;
    struct key_files files;
    struct key_public public_side;
    struct secrets *secrets;
};

static const char *const origin_texts[] = {
    [KEY_ORIGIN_FIRST_START] = "made at first start",
    [KEY_ORIGIN_DISK_CHANGED] = "the disk's serial number changed",
    [KEY_ORIGIN_BOARD_CHANGED] = "the board's serial number changed",
    [KEY_ORIGIN_BOTH_CHANGED] = "the serial numbers of disk and board changed",
    [KEY_ORIGIN_RESET] = "reset by an administrator",
};

int key_store_new(struct key_store **out)
{
    struct key_store *store = calloc(1, sizeof *store);
    if (!store)
        return -ENOMEM;
    store->secrets = secret_alloc(sizeof *store->secrets);
    if (!store->secrets) {
        int error = -errno;
        free(store);
        return error;
    }
    store->files.secrets = &store->secrets->files;
    *out = store;
    return 0;
}

struct key_store *key_store_free(struct key_store *store)
{
    if (!store)
        return NULL;
    secret_free(store->secrets);
    free(store);
    return NULL;
}

/* ---------------------------------------------------------------- the parts and their slots */

static int is_readable(const struct key_store *store, enum hardware_part part)
{
    return store->hardware.part[part].state == HARDWARE_READABLE;
}

static enum key_slot_kind slot_of(enum hardware_part part)
{
    return part == HARDWARE_DISK ? KEY_SLOT_DISK : KEY_SLOT_BOARD;
}

static const struct key_slot *find_slot(const struct key_store *store, enum key_slot_kind kind)
{
    const struct key_record *record = &store->files.record;
    for (size_t i = 0; i < record->slot_count; i++)
        if (record->slots[i].kind == kind)
            return &record->slots[i];
    return NULL;
}

static void add_slot(const struct key_store *store, struct key_record *record,
                     enum key_slot_kind kind, const uint8_t seed[KEY_SEED_SIZE])
{
    key_slot_seal(&record->slots[record->slot_count++], kind, &store->hardware,
                  store->secrets->files.install, seed, record->public_key);
}

static void add_all_slots(const struct key_store *store, struct key_record *record,
                          const uint8_t seed[KEY_SEED_SIZE])
{
    for (enum hardware_part part = 0; part < HARDWARE_PARTS; part++)
        if (is_readable(store, part))
            add_slot(store, record, slot_of(part), seed);
    if (record->slot_count == 0)
        add_slot(store, record, KEY_SLOT_NOTHING, seed);
}

/* ---------------------------------------------------------------- what is said */

static void note_unreadable(const struct key_store *store, struct key_notes *notes)
{
    for (enum hardware_part part = 0; part < HARDWARE_PARTS; part++)
        if (!is_readable(store, part) && find_slot(store, slot_of(part)))
            key_notes_add(
                notes, KEY_NOTE_UNREADABLE, "the %s's serial number: %s; not taken as a change",
                hardware_part_name(part), hardware_state_name(store->hardware.part[part].state));
}

static void note_weak(const struct key_store *store, struct key_notes *notes)
{
    if (find_slot(store, KEY_SLOT_NOTHING))
        key_notes_add(notes, KEY_NOTE_WEAK,
                      "no serial number could be read: the key is bound to the install secret "
                      "alone");
}

static void note_key(const struct key_store *store, struct key_notes *notes,
                     enum key_note_kind kind)
{
    char print[MACHINE_FINGERPRINT_SIZE];
    machine_fingerprint(print, store->public_side.public_key);
    key_notes_add(notes, kind, "machine key %s, bound to %s: %s", print, key_store_binding(store),
                  origin_texts[store->public_side.origin]);
}

/* ---------------------------------------------------------------- making a key */

/* The record's public side becomes what the store tells. */
static void publish(struct key_store *store)
{
    const struct key_record *record = &store->files.record;
    struct key_public *public_side = &store->public_side;
    memcpy(public_side->public_key, record->public_key, MACHINE_PUBLIC_KEY_SIZE);
    machine_id(public_side->id, record->public_key);
    public_side->origin = record->origin;
    public_side->has_previous = record->has_previous;
    memcpy(public_side->previous_id, record->previous_id, MACHINE_ID_SIZE);
    public_side->created_ms = record->created_ms;
    store->known = 1;
}

/* The record's seed is in place: from here on it signs. */
static void serve(struct key_store *store)
{
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
    crypto_sign_seed_keypair(public_key, store->secrets->signing_key, store->secrets->seed);
    sodium_stackzero(4096);
    publish(store);
    store->state = KEY_STORE_READY;
}

static void public_half(uint8_t public_key[MACHINE_PUBLIC_KEY_SIZE], const uint8_t *seed)
{
    uint8_t secret_key[crypto_sign_SECRETKEYBYTES];
    crypto_sign_seed_keypair(public_key, secret_key, seed);
    sodium_memzero(secret_key, sizeof secret_key);
}

/* Makes a key and writes it; only then does it become the one that is served. */
static int make_key(struct key_store *store, enum key_origin origin, uint64_t now_ms,
                    struct key_notes *notes)
{
    struct secrets *secrets = store->secrets;
    struct key_record fresh = {.origin = origin, .created_ms = now_ms};
    if (store->known) {
        fresh.has_previous = 1;
        memcpy(fresh.previous_id, store->public_side.id, MACHINE_ID_SIZE);
    }
    randombytes_buf(secrets->next_seed, KEY_SEED_SIZE);
    public_half(fresh.public_key, secrets->next_seed);
    add_all_slots(store, &fresh, secrets->next_seed);
    int error = key_files_write_record(&store->files, &fresh);
    if (!error) {
        memcpy(secrets->seed, secrets->next_seed, KEY_SEED_SIZE);
        serve(store);
    }
    sodium_memzero(secrets->next_seed, KEY_SEED_SIZE);
    return error ? key_notes_add_error(notes, KEY_FILES_KEY, error) : 0;
}

/* ---------------------------------------------------------------- opening */

static int lose(struct key_store *store, uint64_t now_ms, struct key_notes *notes)
{
    int error = key_files_put_away_bad(&store->files, now_ms, notes);
    if (error)
        return error;
    store->known = 0;
    store->state = KEY_STORE_LOST;
    key_notes_add(notes, KEY_NOTE_LOST, "%s; nothing is signed until an administrator resets it",
                  store->files.trouble);
    return 0;
}

/* Which recorded identifiers differ from those of today, as the origin of a new key; 0 for none. */
static enum key_origin find_change(const struct key_store *store)
{
    int changed[HARDWARE_PARTS] = {0};
    for (enum hardware_part part = 0; part < HARDWARE_PARTS; part++) {
        const struct key_slot *slot = find_slot(store, slot_of(part));
        changed[part] = slot && is_readable(store, part) &&
                        !key_slot_matches(slot, &store->hardware, store->secrets->files.install);
    }
    if (changed[HARDWARE_DISK] && changed[HARDWARE_BOARD])
        return KEY_ORIGIN_BOTH_CHANGED;
    if (changed[HARDWARE_DISK])
        return KEY_ORIGIN_DISK_CHANGED;
    return changed[HARDWARE_BOARD] ? KEY_ORIGIN_BOARD_CHANGED : 0;
}

enum opened { OPENED, OPENED_NOT, OPENED_BROKEN };

/* Opens the first slot whose identifier can be read today; it is known to match. */
static enum opened open_slot(struct key_store *store)
{
    const struct key_record *record = &store->files.record;
    for (size_t i = 0; i < record->slot_count; i++) {
        const struct key_slot *slot = &record->slots[i];
        if (key_slot_identifier(slot->kind, &store->hardware)->state != HARDWARE_READABLE)
            continue;
        int good = key_slot_open(slot, &store->hardware, store->secrets->files.install,
                                 record->public_key, store->secrets->seed);
        return good ? OPENED : OPENED_BROKEN;
    }
    return OPENED_NOT;
}

/* Copies the part's slot, or makes one for an identifier read for the first time: then returns 1.
 */
static int keep_or_add(const struct key_store *store, struct key_record *grown,
                       enum hardware_part part)
{
    const struct key_slot *slot = find_slot(store, slot_of(part));
    if (slot)
        grown->slots[grown->slot_count++] = *slot;
    else if (is_readable(store, part))
        add_slot(store, grown, slot_of(part), store->secrets->seed);
    return !slot && is_readable(store, part);
}

/* The key works already, so a full disk here is reported and no more. */
static void adopt(struct key_store *store, struct key_notes *notes)
{
    struct key_record grown = store->files.record;
    int added[HARDWARE_PARTS] = {0};
    grown.slot_count = 0;
    for (enum hardware_part part = 0; part < HARDWARE_PARTS; part++)
        added[part] = keep_or_add(store, &grown, part);
    if (!added[HARDWARE_DISK] && !added[HARDWARE_BOARD])
        return;
    int error = key_files_write_record(&store->files, &grown);
    if (error)
        key_notes_add(notes, KEY_NOTE_UNRECORDED, "a serial number could not be recorded: %s",
                      strerror(-error));
    for (enum hardware_part part = 0; part < HARDWARE_PARTS && !error; part++)
        if (added[part])
            key_notes_add(notes, KEY_NOTE_ADOPTED,
                          "the %s's serial number was read for the first time and recorded",
                          hardware_part_name(part));
}

static int open_for_hardware(struct key_store *store, uint64_t now_ms, struct key_notes *notes)
{
    enum key_origin change = find_change(store);
    if (change) {
        int error = make_key(store, change, now_ms, notes);
        if (!error)
            note_key(store, notes, KEY_NOTE_ROTATED);
        return error;
    }
    note_unreadable(store, notes);
    enum opened opened = open_slot(store);
    if (opened == OPENED_BROKEN) {
        key_files_condemn(&store->files);
        return lose(store, now_ms, notes);
    }
    if (opened == OPENED) {
        serve(store);
        adopt(store, notes);
        note_weak(store, notes);
        return 0;
    }
    store->state = KEY_STORE_LOCKED;
    key_notes_add(notes, KEY_NOTE_LOCKED,
                  "no recorded serial number can be read: the key stays shut");
    return 0;
}

/* A first start that was interrupted before its marker is finished here, its event included. */
static int open_recorded(struct key_store *store, uint64_t now_ms, struct key_notes *notes)
{
    publish(store);
    if (!store->files.marker) {
        int error = key_files_mark(&store->files, notes);
        if (error)
            return error;
        note_key(store, notes, KEY_NOTE_CREATED);
    }
    return open_for_hardware(store, now_ms, notes);
}

/* Also takes up a first start that was interrupted after the install secret. */
static int first_start(struct key_store *store, uint64_t now_ms, struct key_notes *notes)
{
    int error = 0;
    if (store->files.secret == KEY_FOUND_MISSING)
        error = key_files_make_secret(&store->files, notes);
    if (!error)
        error = make_key(store, KEY_ORIGIN_FIRST_START, now_ms, notes);
    if (!error)
        error = key_files_mark(&store->files, notes);
    if (error) {
        store->state = KEY_STORE_CLOSED;
        return error;
    }
    note_key(store, notes, KEY_NOTE_CREATED);
    note_weak(store, notes);
    return 0;
}

static void forget(struct key_store *store)
{
    sodium_memzero(store->secrets, sizeof *store->secrets);
    memset(&store->files.record, 0, sizeof store->files.record);
    store->known = 0;
    store->state = KEY_STORE_CLOSED;
}

int key_store_open(struct key_store *store, int folder, const struct hardware *hardware,
                   uint64_t now_ms, struct key_notes *notes)
{
    struct key_files *files = &store->files;
    notes->count = 0;
    forget(store);
    store->hardware = *hardware;
    files->folder = folder;
    int error = key_files_look(files, notes);
    if (error)
        return error;
    if (files->secret == KEY_FOUND_GOOD && files->key == KEY_FOUND_GOOD)
        return open_recorded(store, now_ms, notes);
    int never_bad = files->secret == KEY_FOUND_GOOD || files->secret == KEY_FOUND_MISSING;
    if (!files->marker && files->key == KEY_FOUND_MISSING && never_bad)
        return first_start(store, now_ms, notes);
    return lose(store, now_ms, notes);
}

/* ---------------------------------------------------------------- reset */

int key_store_reset(struct key_store *store, uint64_t now_ms, struct key_notes *notes)
{
    int error = store->state == KEY_STORE_CLOSED ? -EINVAL : 0;
    notes->count = 0;
    if (store->state == KEY_STORE_LOST) {
        error = key_files_put_away_all(&store->files, now_ms, notes);
        if (!error)
            error = key_files_make_secret(&store->files, notes);
    }
    if (!error)
        error = make_key(store, KEY_ORIGIN_RESET, now_ms, notes);
    if (error)
        return error;
    note_key(store, notes, store->public_side.has_previous ? KEY_NOTE_ROTATED : KEY_NOTE_CREATED);
    note_weak(store, notes);
    return 0;
}

/* ---------------------------------------------------------------- looking at it */

enum key_store_state key_store_state(const struct key_store *store)
{
    return store->state;
}

const uint8_t *key_store_signing_key(const struct key_store *store)
{
    return store->state == KEY_STORE_READY ? store->secrets->signing_key : NULL;
}

const struct key_public *key_store_public(const struct key_store *store)
{
    int open = store->state == KEY_STORE_READY || store->state == KEY_STORE_LOCKED;
    return open ? &store->public_side : NULL;
}

const char *key_store_binding(const struct key_store *store)
{
    if (!store->known)
        return "";
    int disk = find_slot(store, KEY_SLOT_DISK) != NULL;
    int board = find_slot(store, KEY_SLOT_BOARD) != NULL;
    if (disk && board)
        return "disk board";
    return disk ? "disk" : board ? "board" : "install secret alone";
}

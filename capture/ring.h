/*
 * The recent frames, encrypted at rest in memory, bounded by age, count and bytes.
 *
 * Records are encrypted with XChaCha20-Poly1305 under a key in secret memory that exists nowhere
 * else; the nonce is a counter that is never used twice under one key, and the additional data
 * binds each record to its place. Whoever drops the 32 bytes of the key has forgotten every frame,
 * wherever copies of the ciphertext may lie (swap, freed memory).
 *
 * Deltas need the frames before them back to a key frame. So frames come and go in groups: a key
 * frame and its deltas. A group is closed when it holds an eighth of what the ring may (in age,
 * count or bytes); the next frame is then a key frame. What is too old or too much leaves by whole
 * groups from the oldest on, so everything that stays can be rebuilt, no bound is ever exceeded,
 * and at most an eighth of the history goes early. The alternative, to fold the oldest delta into
 * its key frame, would have to decrypt and rebuild old pictures, which this way capture never does.
 *
 * Times are in ms of one clock that never goes back and runs on in suspend (CLOCK_BOOTTIME).
 * A ring belongs to one thread at a time.
 */
#ifndef CLOISTER_CAPTURE_RING_H
#define CLOISTER_CAPTURE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What encryption adds to each record. */
#define RING_OVERHEAD    16U
#define RING_RECORDS_MAX 100000U

struct ring_limits {
    uint64_t max_age_ms;
    uint64_t max_bytes; /* of ciphertext */
    uint32_t max_records;
};

enum ring_outcome {
    RING_OK = 0,
    RING_NEEDS_KEY = 1, /* a delta, but the frames before it are gone: make it a key frame */
    RING_TOO_LARGE = 2, /* larger than the whole ring may be */
    RING_NO_SUCH = 3,
    RING_DAMAGED = 4, /* does not decrypt: its memory was changed */
};

struct ring;

/*
 * Makes an empty ring with a fresh random key. Limits of 0 mean 1; more than RING_RECORDS_MAX
 * records are taken for that many. Returns 0 or -errno.
 */
int ring_new(struct ring **out, const struct ring_limits *limits);

/* Forgets everything, and sets other limits. Returns 0 or -ENOMEM, with the limits as they were. */
int ring_limit(struct ring *ring, const struct ring_limits *limits);

/* Wipes the key and frees everything; accepts NULL, returns NULL. */
struct ring *ring_free(struct ring *ring);

/* Drops the key and every record, and makes a new key. */
void ring_forget(struct ring *ring);

/* Whether the next record must be a key frame. */
bool ring_wants_key(const struct ring *ring, uint64_t now_ms);

/*
 * Encrypts and keeps one record, whose bytes the caller wipes. `id` is above all ids before it.
 * Older groups make room. Returns RING_OK, RING_NEEDS_KEY (the record is not kept), RING_TOO_LARGE
 * (likewise) or -ENOMEM.
 */
int ring_put(struct ring *ring, uint64_t id, bool key, const uint8_t *record, size_t length,
             uint64_t now_ms);

/* Drops the groups whose first frame is older than the bound. */
void ring_expire(struct ring *ring, uint64_t now_ms);

/* When ring_expire next has something to drop; UINT64_MAX if the ring is empty. */
uint64_t ring_expires_ms(const struct ring *ring);

uint32_t ring_records(const struct ring *ring);
uint64_t ring_bytes(const struct ring *ring);

/* The id of the oldest record above `after`, 0 if there is none; its length goes to `length`. */
uint64_t ring_next(const struct ring *ring, uint64_t after, size_t *length);

/*
 * Decrypts the record `id` into `out` (locked memory, please). Returns RING_OK with its length,
 * RING_NO_SUCH, RING_TOO_LARGE if `capacity` does not suffice, or RING_DAMAGED.
 */
int ring_get(const struct ring *ring, uint64_t id, uint8_t *out, size_t capacity, size_t *length);

#endif

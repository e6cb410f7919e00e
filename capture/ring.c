#include "ring.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "little_endian.h"
#include "secret_memory.h"

#define KEY_BYTES   crypto_aead_xchacha20poly1305_ietf_KEYBYTES
#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
_Static_assert(RING_OVERHEAD == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");

/* How many groups a full ring holds. */
#define GROUPS 8U

#define PLACE_CONTEXT "cloister ring 1"
#define PLACE_BYTES   (sizeof(PLACE_CONTEXT) + 8 + 8 + 1)

struct record {
    uint64_t id, sequence, stored_ms;
    size_t size; /* of the ciphertext */
    uint8_t *sealed;
    bool key;
};

struct ring {
    struct ring_limits limits;
    uint8_t *secret;   /* KEY_BYTES */
    uint64_t sequence; /* of the next record under this key */
    uint64_t bytes;
    uint32_t first, count;
    uint32_t group;       /* records of the newest group; 0: no group is open */
    uint64_t group_bytes; /* of its deltas */
    uint64_t group_start_ms;
    size_t group_key_size;
    struct record *records; /* limits.max_records, used as a circle */
};

static struct record *at(const struct ring *ring, uint32_t index)
{
    return &ring->records[(ring->first + index) % ring->limits.max_records];
}

static struct ring_limits sane(const struct ring_limits *limits)
{
    struct ring_limits out = *limits;
    out.max_age_ms = out.max_age_ms > 0 ? out.max_age_ms : 1;
    out.max_bytes = out.max_bytes > 0 ? out.max_bytes : 1;
    out.max_records = out.max_records > 0 ? out.max_records : 1;
    out.max_records = out.max_records < RING_RECORDS_MAX ? out.max_records : RING_RECORDS_MAX;
    return out;
}

int ring_new(struct ring **out, const struct ring_limits *limits)
{
    if (sodium_init() < 0)
        return -EIO;
    struct ring *ring = calloc(1, sizeof(*ring));
    if (ring == NULL)
        return -ENOMEM;
    ring->limits = sane(limits);
    ring->records = calloc(ring->limits.max_records, sizeof(*ring->records));
    ring->secret = ring->records == NULL ? NULL : secret_alloc(KEY_BYTES);
    if (ring->secret == NULL) {
        int error = errno != 0 ? -errno : -ENOMEM;
        free(ring->records);
        free(ring);
        return error;
    }
    crypto_aead_xchacha20poly1305_ietf_keygen(ring->secret);
    *out = ring;
    return 0;
}

static void drop_oldest(struct ring *ring)
{
    struct record *record = at(ring, 0);
    free(record->sealed);
    ring->bytes -= record->size;
    memset(record, 0, sizeof(*record));
    ring->first = (ring->first + 1) % ring->limits.max_records;
    ring->count--;
}

/* Drops the oldest key frame and its deltas. */
static void drop_group(struct ring *ring)
{
    do
        drop_oldest(ring);
    while (ring->count > 0 && !at(ring, 0)->key);
    if (ring->count == 0)
        ring->group = 0;
}

struct ring *ring_free(struct ring *ring)
{
    if (ring == NULL)
        return NULL;
    ring->secret = secret_free(ring->secret);
    while (ring->count > 0)
        drop_group(ring);
    free(ring->records);
    free(ring);
    return NULL;
}

void ring_forget(struct ring *ring)
{
    crypto_aead_xchacha20poly1305_ietf_keygen(ring->secret);
    ring->sequence = 0;
    while (ring->count > 0)
        drop_group(ring);
}

int ring_limit(struct ring *ring, const struct ring_limits *limits)
{
    struct ring_limits wanted = sane(limits);
    struct record *records = calloc(wanted.max_records, sizeof(*records));
    if (records == NULL)
        return -ENOMEM;
    ring_forget(ring);
    free(ring->records);
    ring->records = records;
    ring->limits = wanted;
    ring->first = 0;
    return 0;
}

bool ring_wants_key(const struct ring *ring, uint64_t now_ms)
{
    if (ring->group == 0)
        return true;
    uint64_t share = ring->limits.max_bytes / GROUPS;
    if (share < ring->group_key_size)
        share = ring->group_key_size;
    return ring->group >= (ring->limits.max_records + GROUPS - 1) / GROUPS ||
           ring->group_bytes >= share ||
           now_ms - ring->group_start_ms >= ring->limits.max_age_ms / GROUPS;
}

static void write_place(uint8_t place[PLACE_BYTES], const struct record *record)
{
    memcpy(place, PLACE_CONTEXT, sizeof(PLACE_CONTEXT));
    le_put64(place + sizeof(PLACE_CONTEXT), record->sequence);
    le_put64(place + sizeof(PLACE_CONTEXT) + 8, record->id);
    place[PLACE_BYTES - 1] = record->key;
}

static void write_nonce(uint8_t nonce[NONCE_BYTES], uint64_t sequence)
{
    memset(nonce, 0, NONCE_BYTES);
    le_put64(nonce, sequence);
}

static int seal_record(struct ring *ring, struct record *record, const uint8_t *plain,
                       size_t length)
{
    record->size = length + RING_OVERHEAD;
    record->sealed = malloc(record->size);
    if (record->sealed == NULL)
        return -ENOMEM;
    uint8_t place[PLACE_BYTES], nonce[NONCE_BYTES];
    record->sequence = ring->sequence++;
    write_place(place, record);
    write_nonce(nonce, record->sequence);
    crypto_aead_xchacha20poly1305_ietf_encrypt(record->sealed, NULL, plain, length, place,
                                               sizeof(place), NULL, nonce, ring->secret);
    return 0;
}

static int make_room(struct ring *ring, size_t size)
{
    if (size > ring->limits.max_bytes)
        return RING_TOO_LARGE;
    while (ring->count > 0 &&
           (ring->count >= ring->limits.max_records || ring->bytes > ring->limits.max_bytes - size))
        drop_group(ring);
    return RING_OK;
}

static void count_in(struct ring *ring, const struct record *record)
{
    if (record->key) {
        ring->group = 0;
        ring->group_bytes = 0;
        ring->group_start_ms = record->stored_ms;
        ring->group_key_size = record->size;
    } else {
        ring->group_bytes += record->size;
    }
    ring->group++;
    ring->bytes += record->size;
    ring->count++;
}

int ring_put(struct ring *ring, uint64_t id, bool key, const uint8_t *record, size_t length,
             uint64_t now_ms)
{
    ring_expire(ring, now_ms);
    if (length > SIZE_MAX - RING_OVERHEAD)
        return RING_TOO_LARGE;
    int outcome = make_room(ring, length + RING_OVERHEAD);
    if (outcome != RING_OK)
        return outcome;
    if (!key && ring->group == 0)
        return RING_NEEDS_KEY;
    struct record kept = {.id = id, .stored_ms = now_ms, .key = key};
    outcome = seal_record(ring, &kept, record, length);
    if (outcome != 0)
        return outcome;
    *at(ring, ring->count) = kept;
    count_in(ring, &kept);
    return RING_OK;
}

void ring_expire(struct ring *ring, uint64_t now_ms)
{
    while (ring->count > 0 && now_ms >= ring_expires_ms(ring))
        drop_group(ring);
}

uint64_t ring_expires_ms(const struct ring *ring)
{
    return ring->count == 0 ? UINT64_MAX : at(ring, 0)->stored_ms + ring->limits.max_age_ms;
}

uint32_t ring_records(const struct ring *ring)
{
    return ring->count;
}

uint64_t ring_bytes(const struct ring *ring)
{
    return ring->bytes;
}

/* The index of the first record with an id above `after`: ids ascend. */
static uint32_t find_above(const struct ring *ring, uint64_t after)
{
    uint32_t low = 0, high = ring->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (at(ring, middle)->id > after)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

uint64_t ring_next(const struct ring *ring, uint64_t after, size_t *length)
{
    uint32_t index = find_above(ring, after);
    if (index == ring->count)
        return 0;
    *length = at(ring, index)->size - RING_OVERHEAD;
    return at(ring, index)->id;
}

int ring_get(const struct ring *ring, uint64_t id, uint8_t *out, size_t capacity, size_t *length)
{
    uint32_t index = id == 0 ? ring->count : find_above(ring, id - 1);
    if (index == ring->count || at(ring, index)->id != id)
        return RING_NO_SUCH;
    const struct record *record = at(ring, index);
    if (record->size - RING_OVERHEAD > capacity)
        return RING_TOO_LARGE;
    uint8_t place[PLACE_BYTES], nonce[NONCE_BYTES];
    write_place(place, record);
    write_nonce(nonce, record->sequence);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, record->sealed, record->size,
                                                   place, sizeof(place), nonce, ring->secret) != 0)
        return RING_DAMAGED;
    *length = record->size - RING_OVERHEAD;
    return RING_OK;
}

/*
 * A sealed bundle as the wire wants it (docs/wire.md, "Bundles"): chunks of 262,144 bytes, the last
 * one shorter or equal, the SHA-256 of each, and the digest over those, which is what the user
 * consents to. Kept in locked memory until the console has acknowledged it.
 *
 * Not thread safe.
 */
#ifndef CLOISTER_CHUNK_LIST_H
#define CLOISTER_CHUNK_LIST_H

#include <stddef.h>
#include <stdint.h>

#define CHUNK_BYTES        262144
#define CHUNK_DIGEST_BYTES 32
/* The digests of so many chunks fit into a Consent (ipc-schema/cloister.proto): bundles to 1 GiB.
 */
#define CHUNKS_MAX 4096

struct chunk_list;

/* Makes an empty list that refuses to grow beyond `max_bytes`. Returns 0 or -ENOMEM. */
int chunk_list_new(struct chunk_list **out, uint64_t max_bytes);

/* Wipes and frees; NULL is allowed. Returns NULL. */
struct chunk_list *chunk_list_free(struct chunk_list *list);

/*
 * An age_sink: appends to the list given as `context`. Returns 0, -EFBIG (over the limit), -ENOMEM,
 * or -EINVAL after chunk_list_finish.
 */
int chunk_list_append(void *context, const void *bytes, size_t length);

/* Ends the list and computes the digest. Returns 0, or -EINVAL for an empty list. */
int chunk_list_finish(struct chunk_list *list);

/* Of a finished list. */
uint64_t chunk_list_size(const struct chunk_list *list);
uint32_t chunk_list_count(const struct chunk_list *list);
/* Chunk `index` (below the count) and its length; belongs to the list. */
const uint8_t *chunk_list_chunk(const struct chunk_list *list, uint32_t index, size_t *length);
/* All chunk digests one after the other, chunk_list_count * 32 bytes; belongs to the list. */
const uint8_t *chunk_list_digests(const struct chunk_list *list);
/* The bundle's digest, 32 bytes; belongs to the list. */
const uint8_t *chunk_list_digest(const struct chunk_list *list);

#endif

#include "chunk_list.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "secret_memory.h"

struct chunk_list {
    uint64_t max_bytes, size;
    int finished;
    uint32_t count;   /* chunks begun */
    size_t last_used; /* bytes in the last of them */
    uint8_t digest[CHUNK_DIGEST_BYTES];
    uint8_t *chunks[CHUNKS_MAX];
    uint8_t digests[CHUNKS_MAX][CHUNK_DIGEST_BYTES];
};

int chunk_list_new(struct chunk_list **out, uint64_t max_bytes)
{
    struct chunk_list *list = calloc(1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    const uint64_t most = (uint64_t)CHUNKS_MAX * CHUNK_BYTES;
    list->max_bytes = max_bytes < most ? max_bytes : most;
    *out = list;
    return 0;
}

struct chunk_list *chunk_list_free(struct chunk_list *list)
{
    if (!list)
        return NULL;
    for (uint32_t i = 0; i < list->count; i++)
        locked_free(list->chunks[i], CHUNK_BYTES);
    free(list);
    return NULL;
}

static void end_chunk(struct chunk_list *list)
{
    uint32_t last = list->count - 1;
    crypto_hash_sha256(list->digests[last], list->chunks[last], list->last_used);
}

static int begin_chunk(struct chunk_list *list)
{
    uint8_t *chunk = locked_alloc(CHUNK_BYTES);
    if (!chunk)
        return -ENOMEM;
    if (list->count > 0)
        end_chunk(list);
    list->chunks[list->count++] = chunk;
    list->last_used = 0;
    return 0;
}

int chunk_list_append(void *context, const void *bytes, size_t length)
{
    struct chunk_list *list = context;
    const uint8_t *from = bytes;
    if (list->finished)
        return -EINVAL;
    if (length > list->max_bytes - list->size)
        return -EFBIG;
    list->size += length;
    while (length > 0) {
        if (list->count == 0 || list->last_used == CHUNK_BYTES) {
            int result = begin_chunk(list);
            if (result)
                return result;
        }
        size_t part = CHUNK_BYTES - list->last_used;
        if (part > length)
            part = length;
        memcpy(list->chunks[list->count - 1] + list->last_used, from, part);
        list->last_used += part;
        from += part;
        length -= part;
    }
    return 0;
}

int chunk_list_finish(struct chunk_list *list)
{
    if (list->finished || list->count == 0)
        return -EINVAL;
    list->finished = 1;
    end_chunk(list);
    crypto_hash_sha256(list->digest, list->digests[0], (size_t)list->count * CHUNK_DIGEST_BYTES);
    return 0;
}

uint64_t chunk_list_size(const struct chunk_list *list)
{
    return list->size;
}

uint32_t chunk_list_count(const struct chunk_list *list)
{
    return list->count;
}

const uint8_t *chunk_list_chunk(const struct chunk_list *list, uint32_t index, size_t *length)
{
    *length = index == list->count - 1 ? list->last_used : CHUNK_BYTES;
    return list->chunks[index];
}

const uint8_t *chunk_list_digests(const struct chunk_list *list)
{
    return list->digests[0];
}

const uint8_t *chunk_list_digest(const struct chunk_list *list)
{
    return list->digest;
}

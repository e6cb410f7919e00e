#include "consent.h"

#include <stdlib.h>
#include <string.h>
#include <sodium.h>

void consent_sha256(uint8_t out[CONSENT_DIGEST], const uint8_t *bytes, size_t length)
{
    crypto_hash_sha256(out, bytes, length);
}

bool consent_same(const uint8_t a[CONSENT_DIGEST], const uint8_t b[CONSENT_DIGEST])
{
    return sodium_memcmp(a, b, CONSENT_DIGEST) == 0;
}

enum consent_outcome consent_set(struct consent *consent, uint64_t size, uint64_t max_size,
                                 const uint8_t digest[CONSENT_DIGEST], const uint8_t *list,
                                 size_t list_length)
{
    if (size == 0 || size > max_size || size > (uint64_t)CONSENT_CHUNKS_MAX * CONSENT_CHUNK)
        return CONSENT_SIZE;
    uint32_t chunks = (uint32_t)((size - 1) / CONSENT_CHUNK) + 1;
    if (list_length != (size_t)chunks * CONSENT_DIGEST)
        return CONSENT_SIZE;
    uint8_t actual[CONSENT_DIGEST];
    consent_sha256(actual, list, list_length);
    if (!consent_same(actual, digest))
        return CONSENT_DIGEST_WRONG;
    uint8_t *copy = malloc(list_length);
    if (!copy)
        return CONSENT_NO_MEMORY;
    memcpy(copy, list, list_length);
    consent_clear(consent);
    *consent = (struct consent){.size = size, .chunks = chunks, .list = copy};
    memcpy(consent->digest, digest, CONSENT_DIGEST);
    return CONSENT_OK;
}

enum consent_outcome consent_check(const struct consent *consent, uint32_t index,
                                   const uint8_t *bytes, size_t length)
{
    if (index >= consent->chunks)
        return CONSENT_PLACE;
    uint64_t before = (uint64_t)index * CONSENT_CHUNK;
    uint64_t rest = consent->size - before;
    if (length != (rest < CONSENT_CHUNK ? rest : CONSENT_CHUNK))
        return CONSENT_LENGTH;
    uint8_t actual[CONSENT_DIGEST];
    consent_sha256(actual, bytes, length);
    return consent_same(actual, consent->list + (size_t)index * CONSENT_DIGEST)
               ? CONSENT_OK
               : CONSENT_DIGEST_WRONG;
}

void consent_clear(struct consent *consent)
{
    free(consent->list);
    *consent = (struct consent){0};
}

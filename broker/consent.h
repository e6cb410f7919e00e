/*
 * What a user has consented to, and whether bytes are that.
 *
 * The consent lists the SHA-256 of every chunk of the sealed bundle. A chunk is passed on only if
 * its place, its length and its digest are the listed ones, so not one other byte leaves, and a
 * chunk may be sent again after a lost connection. Pure; one thread.
 */
#ifndef CLOISTER_CONSENT_H
#define CLOISTER_CONSENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONSENT_CHUNK      262144u /* bytes of every chunk but the last */
#define CONSENT_DIGEST     32u
#define CONSENT_CHUNKS_MAX 4096u /* 1 GiB; the blob of a Consent holds no more digests */

struct consent {
    uint64_t size; /* bytes of the sealed bundle */
    uint32_t chunks;
    uint8_t digest[CONSENT_DIGEST]; /* SHA-256 of the list */
    uint8_t *list;                  /* chunks * CONSENT_DIGEST bytes, owned */
};

enum consent_outcome {
    CONSENT_OK = 0,
    CONSENT_SIZE,         /* empty, over max_size, or not the size that so many chunks hold */
    CONSENT_DIGEST_WRONG, /* the list is not what the digest names, or the chunk not what the list
                             names */
    CONSENT_PLACE,        /* no such chunk */
    CONSENT_LENGTH,       /* the chunk has one byte more or less */
    CONSENT_NO_MEMORY,
};

/* Takes a consent over if its parts agree. `list` is copied. */
enum consent_outcome consent_set(struct consent *consent, uint64_t size, uint64_t max_size,
                                 const uint8_t digest[CONSENT_DIGEST], const uint8_t *list,
                                 size_t list_length);

/* Whether these bytes are chunk `index` of what was consented to. */
enum consent_outcome consent_check(const struct consent *consent, uint32_t index,
                                   const uint8_t *bytes, size_t length);

void consent_clear(struct consent *consent);

/* SHA-256, and whether two digests are the same, in constant time. */
void consent_sha256(uint8_t out[CONSENT_DIGEST], const uint8_t *bytes, size_t length);
bool consent_same(const uint8_t a[CONSENT_DIGEST], const uint8_t b[CONSENT_DIGEST]);

#endif

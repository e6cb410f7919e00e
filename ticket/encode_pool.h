/*
 * Threads that encode pictures behind the review.
 *
 * The owner (one thread) submits pictures and collects results when encode_pool_fd polls readable;
 * no callback runs on a foreign thread. Results may come in another order than the pictures went
 * in.
 */
#ifndef CLOISTER_ENCODE_POOL_H
#define CLOISTER_ENCODE_POOL_H

#include "locked_bytes.h"
#include "picture.h"

enum encode_pool_outcome {
    ENCODE_POOL_FULL = 1, /* as many pictures wait as there are threads: collect first */
    ENCODE_POOL_EMPTY,    /* no result is ready */
};

/* What became of one picture. */
struct encoded {
    uint32_t frame, generation; /* as given to encode_pool_submit */
    int error;                  /* 0 or -ENOMEM */
    struct locked_bytes image;  /* the receiver's to clear */
};

struct encode_pool;

/*
 * Starts `threads` threads (at least 1; 0: one for each processor that this process may use, at
 * most 8). Returns 0 or -errno.
 */
int encode_pool_new(struct encode_pool **out, unsigned threads);

/*
 * Hands a picture over, with two numbers that come back with the result. Returns 0; then the
 * picture is the pool's. ENCODE_POOL_FULL leaves it to the caller.
 */
int encode_pool_submit(struct encode_pool *pool, uint32_t frame, uint32_t generation,
                       struct picture *picture);

/* Takes one result. Returns 0 or ENCODE_POOL_EMPTY. */
int encode_pool_take(struct encode_pool *pool, struct encoded *out);

/* How many pictures were submitted whose results were not taken yet. */
unsigned encode_pool_pending(struct encode_pool *pool);

/* Polls readable when a result is ready, or was until it was taken. Belongs to the pool. */
int encode_pool_fd(const struct encode_pool *pool);

/* Waits for the pictures that are being encoded, drops the others and all results. NULL: NULL. */
struct encode_pool *encode_pool_free(struct encode_pool *pool);

#endif

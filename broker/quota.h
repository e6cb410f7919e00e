/*
 * Token buckets: how many messages of one type a channel may send.
 *
 * A bucket holds at most `per_second` tokens and gains as many a second; a message takes one. Pure;
 * no clock of its own. Any thread, one bucket at a time.
 */
#ifndef CLOISTER_QUOTA_H
#define CLOISTER_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

struct quota {
    uint64_t filled_ms; /* when `milli_tokens` was true; 0: never used, the bucket is full */
    uint64_t milli_tokens;
};

/* Takes a token at `now_ms` (monotonic, at least 1). false: there is none, the quota is exceeded.
 */
bool quota_take(struct quota *quota, uint32_t per_second, uint64_t now_ms);

#endif

/*
 * Exponential back-off with full jitter: how long to wait before something that failed is tried
 * again. The ceiling doubles with every failure; the wait is drawn evenly from its upper half, so
 * that a thousand machines do not come back to a console in step. Pure.
 */
#ifndef CLOISTER_BACKOFF_H
#define CLOISTER_BACKOFF_H

#include <stdint.h>

struct backoff {
    uint32_t first_ms, most_ms; /* the first ceiling and the last */
    uint32_t failures;          /* in a row */
};

/* Counts a failure; returns the wait in ms. `random` is any 32 random bits. */
uint32_t backoff_next(struct backoff *backoff, uint32_t random);

/* It worked for long enough. */
void backoff_reset(struct backoff *backoff);

#endif

/*
 * A token bucket: how often something may be done. `burst` times at once, then once per
 * `interval_ms`. Time is monotonic milliseconds, handed in by the caller; a clock that goes back
 * gives nothing. Not locked: one thread at a time.
 */
#ifndef CLOISTER_VAULT_RATION_H
#define CLOISTER_VAULT_RATION_H

#include <stdint.h>

struct ration {
    uint32_t burst;
    uint32_t interval_ms;
    uint32_t tokens;
    uint64_t counted_ms; /* up to when the tokens of time gone by have been given */
};

/* Begins with a full bucket at `now_ms`. `burst` and `interval_ms` are at least 1. */
void ration_begin(struct ration *ration, uint32_t burst, uint32_t interval_ms, uint64_t now_ms);

/* Takes one token: returns 1 if there was one, 0 if not. */
int ration_take(struct ration *ration, uint64_t now_ms);

#endif

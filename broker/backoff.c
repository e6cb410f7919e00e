#include "backoff.h"

uint32_t backoff_next(struct backoff *backoff, uint32_t random)
{
    uint64_t ceiling = backoff->first_ms;
    for (uint32_t i = 0; i < backoff->failures && ceiling < backoff->most_ms; i++)
        ceiling *= 2;
    if (ceiling > backoff->most_ms)
        ceiling = backoff->most_ms;
    if (backoff->failures < UINT32_MAX)
        backoff->failures++;
    uint64_t half = ceiling / 2;
    return (uint32_t)(half + (half ? random % (half + 1) : 0));
}

void backoff_reset(struct backoff *backoff)
{
    backoff->failures = 0;
}

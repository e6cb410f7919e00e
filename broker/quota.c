#include "quota.h"

bool quota_take(struct quota *quota, uint32_t per_second, uint64_t now_ms)
{
    uint64_t full = (uint64_t)per_second * 1000;
    if (quota->filled_ms == 0) {
        quota->milli_tokens = full;
    } else if (now_ms > quota->filled_ms) {
        uint64_t elapsed = now_ms - quota->filled_ms;
        /* A second refills the bucket; capping first keeps the product small. */
        uint64_t gained = elapsed >= 1000 ? full : elapsed * per_second;
        uint64_t room = full - quota->milli_tokens;
        quota->milli_tokens += gained < room ? gained : room;
    }
    quota->filled_ms = now_ms;
    if (quota->milli_tokens < 1000)
        return false;
    quota->milli_tokens -= 1000;
    return true;
}

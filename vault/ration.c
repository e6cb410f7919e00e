#include "ration.h"

void ration_begin(struct ration *ration, uint32_t burst, uint32_t interval_ms, uint64_t now_ms)
{
    ration->burst = burst;
    ration->interval_ms = interval_ms;
    ration->tokens = burst;
    ration->counted_ms = now_ms;
}

static void refill(struct ration *ration, uint64_t now_ms)
{
    if (now_ms <= ration->counted_ms)
        return;
    uint64_t earned = (now_ms - ration->counted_ms) / ration->interval_ms;
    if (earned >= ration->burst - ration->tokens) {
        ration->tokens = ration->burst;
        ration->counted_ms = now_ms;
        return;
    }
    ration->tokens += (uint32_t)earned;
    ration->counted_ms += earned * ration->interval_ms;
}

int ration_take(struct ration *ration, uint64_t now_ms)
{
    refill(ration, now_ms);
    if (ration->tokens == 0)
        return 0;
    ration->tokens--;
    return 1;
}

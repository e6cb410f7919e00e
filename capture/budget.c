#include "budget.h"

/* Keeps the arithmetic below far from 64 bits: thousandths of twice this still fit. */
#define UNITS_MAX (UINT64_C(1) << 42)

static int64_t clamp(uint64_t units)
{
    return (int64_t)(units > UNITS_MAX ? UNITS_MAX : units);
}

static void refill(struct budget *budget, uint64_t now_ms)
{
    if (now_ms <= budget->updated_ms)
        return;
    uint64_t elapsed = now_ms - budget->updated_ms;
    budget->updated_ms = now_ms;
    int64_t room = budget->depth - budget->level;
    int64_t to_full = room / budget->rate + 1;
    budget->level += elapsed >= (uint64_t)to_full ? room : (int64_t)elapsed * budget->rate;
}

struct budget budget_new(uint64_t per_second, uint64_t depth, uint64_t now_ms)
{
    int64_t rate = per_second > 0 ? clamp(per_second) : 1;
    int64_t full = depth > 0 ? clamp(depth) * 1000 : 1000;
    return (struct budget){.level = full, .depth = full, .rate = rate, .updated_ms = now_ms};
}

uint64_t budget_wait_ms(struct budget *budget, uint64_t now_ms)
{
    refill(budget, now_ms);
    if (budget->level > 0)
        return 0;
    return (uint64_t)(-budget->level / budget->rate) + 1;
}

void budget_charge(struct budget *budget, uint64_t units, uint64_t now_ms)
{
    refill(budget, now_ms);
    int64_t cost = clamp(units) * 1000;
    int64_t floor = -clamp(UNITS_MAX) * 1000;
    budget->level = budget->level - cost < floor ? floor : budget->level - cost;
}

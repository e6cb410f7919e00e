#include "log_budget.h"

#include <inttypes.h>

#include "log.h"

void log_budget_begin(struct log_budget *budget, uint32_t burst, uint32_t interval_ms,
                      uint64_t now_ms)
{
    *budget = (struct log_budget){0};
    ration_begin(&budget->lines, burst, interval_ms, now_ms);
}

bool log_budget_take(struct log_budget *budget, uint64_t now_ms, const char *what)
{
    if (!ration_take(&budget->lines, now_ms)) {
        budget->left_out++;
        return false;
    }
    if (budget->left_out)
        log_warning("%" PRIu64 " %s were not logged: too many", budget->left_out, what);
    budget->left_out = 0;
    return true;
}

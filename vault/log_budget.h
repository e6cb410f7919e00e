/*
 * Bounds the log lines that whoever sends tokens can cause: so many at once, then one now and then,
 * with the number of those that were left out. One thread.
 */
#ifndef CLOISTER_VAULT_LOG_BUDGET_H
#define CLOISTER_VAULT_LOG_BUDGET_H

#include <stdbool.h>

#include "ration.h"

struct log_budget {
    struct ration lines;
    uint64_t left_out;
};

/*
 * Begins full at `now_ms` (monotonic): `burst` lines at once, then one every `interval_ms`; both at
 * least 1.
 */
void log_budget_begin(struct log_budget *budget, uint32_t burst, uint32_t interval_ms,
                      uint64_t now_ms);

/*
 * Whether a line may be written now. If lines were left out before it, says first how many:
 * "N <what> were not logged".
 */
bool log_budget_take(struct log_budget *budget, uint64_t now_ms, const char *what);

#endif

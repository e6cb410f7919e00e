/*
 * Bounds the log lines that strangers can cause. One thread.
 */
#ifndef CLOISTER_LOG_RATION_H
#define CLOISTER_LOG_RATION_H

#include <stdbool.h>
#include <stdint.h>

#include "quota.h"

#define LOG_RATION_PER_SECOND 10

struct log_ration {
    struct quota quota;
    uint32_t dropped;
};

/*
 * Whether a line may be written now. When lines have been dropped before it, says first how many:
 * "N <what> were not logged".
 */
bool log_ration_take(struct log_ration *ration, const char *what);

#endif

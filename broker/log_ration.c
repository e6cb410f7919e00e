#include "log_ration.h"

#include "event_loop.h"
#include "log.h"

bool log_ration_take(struct log_ration *ration, const char *what)
{
    if (!quota_take(&ration->quota, LOG_RATION_PER_SECOND, monotonic_ms())) {
        ration->dropped++;
        return false;
    }
    if (ration->dropped)
        log_alert("%u %s were not logged: too many", ration->dropped, what);
    ration->dropped = 0;
    return true;
}

#include "closing.h"

#include <stddef.h>
#include <string.h>

#include "monitor_protocol.h"

#ifdef COMMAND_ADMIN
#include "cmd_admin_filter.h"
#else
#include "cmd_diagnostic_filter.h"
#include "cmd_user_filter.h"
#endif

static const struct closing closings[] = {
#ifdef COMMAND_ADMIN
    {MONITOR_PROFILE_ADMIN, &cmd_admin_filter},
#else
    {MONITOR_PROFILE_DIAGNOSTIC, &cmd_diagnostic_filter},
    {MONITOR_PROFILE_USER, &cmd_user_filter},
#endif
};

const struct closing *closing_of(const char *kind)
{
    for (size_t i = 0; i < sizeof closings / sizeof *closings; i++)
        if (strcmp(closings[i].filter->kind, kind) == 0)
            return &closings[i];
    return NULL;
}

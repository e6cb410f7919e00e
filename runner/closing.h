/*
 * Which kinds of command this program holds, and their filters. cloister-command has the profiles
 * diagnostic and user; cloister-command-admin, built with COMMAND_ADMIN and packaged apart, has
 * admin and nothing else.
 */
#ifndef CLOISTER_CLOSING_H
#define CLOISTER_CLOSING_H

#include <stdint.h>

#include "policy.h"

struct closing {
    uint32_t profile; /* enum monitor_profile: of the orders that it serves */
    const struct sandbox_filter *filter;
};

/*
 * What belongs to the kind of policy that the launcher has applied ("cmd-user"), or NULL if this
 * program is not for it. Any thread.
 */
const struct closing *closing_of(const char *kind);

#endif

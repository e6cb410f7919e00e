/*
 * Whose rights a process may be given. The monitor checks it and the launcher checks it again, each
 * for itself. Pure; any thread.
 */
#ifndef CLOISTER_IDENTITY_H
#define CLOISTER_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "policy.h"

/*
 * Whether a policy's identity may be these two ids:
 *   POLICY_ACCOUNT  neither is root's
 *   POLICY_SESSION  a person's, not one of the system's (Debian Policy 9.2.2, systemd's
 *                   UIDS-GIDS); the group may also be 100, "users"
 *   POLICY_ROOT     both are root's
 * UINT32_MAX, which setresuid(2) takes for "as it is", is nobody's.
 */
bool identity_fits(enum policy_identity identity, uint32_t uid, uint32_t gid);

#endif

/*
 * The steps of cloister-launch, which launch.c takes in order. Each returns 0 or a negative errno
 * and runs once, as launch.h describes.
 */
#ifndef CLOISTER_LAUNCH_STEPS_H
#define CLOISTER_LAUNCH_STEPS_H

#include <limits.h>
#include <stdbool.h>

#include "launch.h"
#include "policy.h"

struct launch {
    struct launch_order order;
    const struct policy *policy;
    bool keeps_memlock; /* CAP_IPC_LOCK stays ambient, see policy.memlock */
};

/* launch_identity.c */
int xauthority_open(struct launch *launch);
int limits_apply(struct launch *launch);
int capabilities_prepare(struct launch *launch); /* before the uid changes */
int identity_apply(struct launch *launch);
int capabilities_drop(struct launch *launch); /* after it */

/* launch_root.c */
int root_begin(struct launch *launch);
int root_mount_programs(struct launch *launch);
int root_mount_others(struct launch *launch);
int root_enter(struct launch *launch);
/* Writes `path` behind what `base` stands for into `out` (PATH_MAX bytes); it must be absolute. */
int expand(char *out, const struct launch *launch, enum policy_base base, const char *path);

#endif

/*
 * The steps of cloister-launch, which launch.c takes in order. Each returns 0 or a negative errno
 * and runs once, as launch.h describes.
 */
#ifndef CLOISTER_LAUNCH_STEPS_H
#define CLOISTER_LAUNCH_STEPS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "policy.h"

#define LAUNCH_VARIABLES 4
#define LAUNCH_WORDS_MAX 16 /* of --argument, and of --cgroup */

/* What the command line says and what was found out about it. */
struct launch {
    const struct policy *policy;
    unsigned instance;
    const char *variables[LAUNCH_VARIABLES]; /* in the order of enum policy_variable's bits */
    const char *root_dir;
    const char *xauthority;
    const char *cgroups[LAUNCH_WORDS_MAX + 1];
    char *arguments[LAUNCH_WORDS_MAX + 2]; /* argv[0] comes last; NULL at the end */
    unsigned long long descriptors_open;   /* bit i: the policy's descriptor i came along */
    char program[PATH_MAX];
    uid_t uid;
    gid_t gid;
    int xauthority_fd;
    bool keeps_memlock; /* CAP_IPC_LOCK stays ambient, see policy.memlock */
};

/* launch_identity.c */
int account_find(struct launch *launch);
int xauthority_open(struct launch *launch);
int limits_apply(struct launch *launch);
int capabilities_prepare(struct launch *launch); /* before the uid changes */
int identity_apply(struct launch *launch);
int capabilities_drop(struct launch *launch); /* after it */

/* launch_root.c */
int program_find(struct launch *launch); /* before root_begin, which may change the root */
int root_begin(struct launch *launch);
int root_mount_programs(struct launch *launch);
int root_mount_others(struct launch *launch);
int root_enter(struct launch *launch);
/* Writes `path` with its variable replaced into `out` (PATH_MAX bytes). */
int expand(char *out, const struct launch *launch, const char *path);

#endif

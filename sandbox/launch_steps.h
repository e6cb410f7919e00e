/*
 * The steps of cloister-launch, in the order in which launch.c takes them. Each returns 0 or a
 * negative errno and runs as described in launch.h; none is called twice.
 */
#ifndef CLOISTER_LAUNCH_STEPS_H
#define CLOISTER_LAUNCH_STEPS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "policy.h"

#define LAUNCH_VARIABLES 4

struct account {
    uid_t uid;
    gid_t gid;
};

/* What the command line says and what was found out about it. */
struct launch {
    const struct policy *policy;
    unsigned instance;
    const char *variables[LAUNCH_VARIABLES]; /* in the order of enum policy_variable's bits */
    const char *root_dir;
    const char *xauthority; /* "USER:PATH" or NULL */
    char folder[PATH_MAX];  /* the launcher's own, where the program lies */
    struct account account;
    int xauthority_fd;  /* -1 if the policy has none */
    bool keeps_memlock; /* CAP_IPC_LOCK stays ambient, see policy.memlock */
};

/* launch_identity.c */
int account_find(struct account *account, const char *user, unsigned instance);
int xauthority_open(struct launch *launch);
int limits_apply(struct launch *launch);
int identity_apply(const struct launch *launch);
int capabilities_prepare(const struct launch *launch); /* before the uid changes */
int capabilities_drop(const struct launch *launch);    /* after it */

/* launch_root.c */
int program_folder(struct launch *launch);
int root_begin(const struct launch *launch);
int root_mount_program(const struct launch *launch);
int root_mount(const struct launch *launch, const struct policy_mount *mount);
int root_enter(void);
/* Writes `path` with its variable replaced into `out` (PATH_MAX bytes). */
int expand(char *out, const struct launch *launch, const char *path);

#endif

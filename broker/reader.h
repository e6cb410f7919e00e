/*
 * The monitor's reader: everything that has to be parsed is parsed in a child process that has
 * given up root, and reaches the monitor as one structure of fixed size. So the privileged process
 * itself parses nothing: no configuration, no accounts, no session files, no mount table.
 */
#ifndef CLOISTER_READER_H
#define CLOISTER_READER_H

#include "cgroup.h"
#include "config.h"
#include "monitor_protocol.h"
#include "policy.h"

#define READER_POLICIES_MAX  AGENT_KINDS_MAX
#define READER_INSTANCES_MAX 16

struct reader_account {
    uint32_t uid, gid; /* AGENT_UID_NONE if there is no such account, or it is root's */
};

struct reading {
    uint32_t errors;      /* of the configuration; all of them have been printed */
    struct config config; /* its agent is complete, the session included */
    char cookies[2][256]; /* where the session's X cookie may lie, most likely first; or empty */
    struct cgroup cgroup; /* as cgroup_find left it */
    struct reader_account accounts[READER_POLICIES_MAX]
                                  [READER_INSTANCES_MAX]; /* [policy][instance] */
};

/* All that is wanted beside the constant policies. Descriptors are -1 for none. */
struct reader_task {
    const char *config_name; /* for messages */
    int config;              /* the configuration file; -1: only the session is read again */
    int sysfs;               /* a folder, /sys */
    int board; /* its class/dmi/id/board_serial, which only root can open; or -errno */
};

/*
 * Reads into `out`, whose `config` has to be filled in already if task->config is -1. Takes as long
 * as reading local files does. Call as root, in a process with one thread; without root (for
 * --check-config) nothing is given up. Returns 0, or -errno if the child failed.
 */
int reader_run(struct reading *out, const struct reader_task *task,
               const struct policy *const *policies);

#endif

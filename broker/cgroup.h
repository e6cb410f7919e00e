/*
 * One control group leaf per instance: memory, number of processes, CPU. On cgroup v2, or on the v1
 * hierarchies where that is what the host has, or on a mixture of both (kernel documentation,
 * admin-guide/cgroup-v2 and cgroup-v1).
 *
 * Nobody else writes below the group that is used: on v2 the monitor's own one if it is alone in it
 * (a service with Delegate=yes), otherwise a new "cloister-<pid>"; on v1 a new "cloister-<pid>"
 * below its own. Not thread-safe.
 */
#ifndef CLOISTER_CGROUP_H
#define CLOISTER_CGROUP_H

#include <stdint.h>
#include <sys/types.h>

#define CGROUP_TREES_MAX   3
#define CGROUP_CONTROLLERS 3
#define CGROUP_MEMORY      1u /* bit i is cgroup_controllers[i] */
#define CGROUP_PIDS        2u
#define CGROUP_CPU         4u

extern const char *const cgroup_controllers[CGROUP_CONTROLLERS];

struct cgroup_tree {
    int version;          /* 2 or 1 */
    uint32_t controllers; /* CGROUP_*: those that leaves get limits from */
    char mount[128];
    char own[256];  /* the monitor's own group in it, below `mount`; empty: the top */
    char base[384]; /* leaves are made in this folder */
};

struct cgroup {
    struct cgroup_tree trees[CGROUP_TREES_MAX];
    uint32_t count;
};

struct cgroup_limits { /* 0: no limit */
    uint64_t memory_bytes;
    uint32_t pids;
    uint32_t cpu_percent; /* of one core */
};

/*
 * Finds the hierarchies in the texts of /proc/self/mountinfo and /proc/self/cgroup. Pure but for
 * reading a v2 mount's cgroup.controllers.
 */
void cgroup_find(struct cgroup *out, const char *mountinfo, const char *self);

/*
 * Makes each tree's base and enables its controllers; `pid` is the monitor's. Removes what a
 * monitor that was killed left behind. A tree that cannot be used is dropped from `group`.
 */
void cgroup_open(struct cgroup *group, pid_t pid, uint64_t tag);

/*
 * Makes the leaf `name` in every tree and sets its limits. Returns 0; or -ENOTSUP if a limit has no
 * controller on this host, or -errno. After an error nothing is left.
 */
int cgroup_leaf(const struct cgroup *group, const char *name, const struct cgroup_limits *limits);

/*
 * Moving a process into a group takes a lock that waits for all processors, 10 to 20 ms, which one
 * command after the other would feel. A process that is born in its group (clone3(2),
 * CLONE_INTO_CGROUP) needs none, and neither does a single thread that moves itself on v1.
 */

/* Opens the leaf in the v2 tree for clone3; *fd is -1 if there is none. Returns 0 or -errno. */
int cgroup_birthplace(int *fd, const struct cgroup *group, const char *name);

/* Puts the calling process, which has one thread, into the leaf in all v1 trees. 0 or -errno. */
int cgroup_join(const struct cgroup *group, const char *name);

/* Kills whatever is left in the leaf and removes it. Returns 0, or -EBUSY: call again later. */
int cgroup_remove(const struct cgroup *group, const char *name);

/* Removes all leaves and the bases. Returns as cgroup_remove. */
int cgroup_close(const struct cgroup *group);

#endif

/*
 * What the kernel says of a process right now, and whether that is what the process said of itself.
 *
 * Reads proc(5) below a given folder: "/proc", or a constructed one in tests. Needs root for other
 * users' processes. One thread.
 */
#ifndef CLOISTER_TOOLS_PROC_H
#define CLOISTER_TOOLS_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_view {
    pid_t pid;
    uint32_t uid;     /* effective */
    bool uids_differ; /* real, effective, saved and file system uid are not one */
    uint64_t cap_inh, cap_prm, cap_eff, cap_bnd, cap_amb;
    uint32_t seccomp; /* mode: 2 is a filter */
    uint32_t seccomp_filters;
    bool no_new_privs;
    uint32_t tasks;
    uint32_t tasks_unlike; /* threads whose Seccomp, NoNewPrivs or CapEff is not the process's */
    pid_t reference;       /* 1, or its parent where pid 1's namespaces may not be read */
    uint64_t own;          /* CLONE_NEW* of the namespaces that are not those of `reference` */
    uint64_t unreadable;   /* CLONE_NEW* of those that could not be compared */
};

/* What should be seen. */
struct proc_expectation {
    uint32_t uid;
    uint32_t seccomp;
    bool no_new_privs;
    uint64_t cap_eff;
    uint64_t own; /* CLONE_NEW* that must be its own; more is no fault */
};

/* Reads everything about `pid`. Returns 0, -ENOENT if there is no such process, or -errno. */
int proc_read(struct proc_view *out, const char *root, pid_t pid);

/*
 * Calls `say` with one sentence for each way in which `view` is not what was expected. Returns how
 * many there are.
 */
unsigned proc_compare(const struct proc_view *view, const struct proc_expectation *expected,
                      void (*say)(void *context, const char *sentence), void *context);

/*
 * Whether pids that the parent of `child` hands out mean the same here: whether that parent is in
 * this process's pid namespace. False too if it cannot be told.
 */
bool proc_parent_shares_pids(const char *root, pid_t child);

/* Writes the names of the namespaces in `mask`, "mnt pid net", or "none". `out` takes 64 bytes. */
void proc_namespace_names(char out[64], uint64_t mask);

#endif

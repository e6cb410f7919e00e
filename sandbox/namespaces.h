/*
 * Which namespaces a process is in. The monitor tells the launcher its own; the launcher compares.
 * Single-threaded use.
 */
#ifndef CLOISTER_NAMESPACES_H
#define CLOISTER_NAMESPACES_H

#include <stdint.h>

#define NAMESPACES_COUNT 6

struct namespaces {
    uint64_t inodes[NAMESPACES_COUNT]; /* of mnt, net, pid, ipc, uts and cgroup */
};

/* Reads the caller's own from /proc. Returns 0 or a negative errno. */
int namespaces_read(struct namespaces *out);

/* The CLONE_NEW* flags of those in which `a` and `b` differ. */
uint64_t namespaces_differing(const struct namespaces *a, const struct namespaces *b);

#endif

/*
 * What hostile code in a worker would try. One list for every worker: a hostile variant of each,
 * locked by the same filter as the shipped one, runs each attack in a fresh process, and it must be
 * killed or get an errno. So that an attack cannot "fail" because it is written wrongly, the same
 * function must succeed outside the sandbox (`control`), as root, in a mount namespace of its own.
 */
#ifndef CLOISTER_ATTACKS_H
#define CLOISTER_ATTACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What an attack is aimed at. */
struct attack_target {
    pid_t victim;              /* a process outside */
    const char *other_channel; /* another worker's socket */
    const char *x11;           /* the X server's socket */
};

struct attack {
    const char *name;
    /* Returns 0 if it succeeded (a breach), else a negative errno. */
    int (*run)(const struct attack_target *target);
    bool control; /* succeeds unconfined, also in a chroot, on every kernel that has the call */
    bool deep;    /* refused by the other layers even where the filter would let it pass */
};

/* Two lists with a NULL name at the end: system calls, and what makes or runs code. */
extern const struct attack attacks_calls[];
extern const struct attack attacks_code[];

/* The attack of that name in either list, or NULL. */
const struct attack *attack_find(const char *name);

#endif

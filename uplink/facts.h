/*
 * What uplink reads before the file system closes: the trusted CA certificates, and the few words
 * about this machine that the wire wants. Single-threaded, before worker_start.
 */
#ifndef CLOISTER_UPLINK_FACTS_H
#define CLOISTER_UPLINK_FACTS_H

#include <stddef.h>

#include "fault.h"

#define FACTS_CA_MAX (4u << 20) /* bytes; Debian's whole store has 0.2 MiB */

struct facts {
    char *ca; /* PEM; NULL when there is a fault */
    size_t ca_length;
    char boot_id[36 + 1]; /* /proc/sys/kernel/random/boot_id */
    char name[64 + 1];    /* the machine's host name, for people */
    char os[128 + 1];     /* PRETTY_NAME of os-release(5), for people; "" if there is none */
};

/*
 * Reads all of it: the CA bundle from the descriptor `ca_fd`, which is closed, the rest from
 * `folder`/boot_id, hostname and os-release, which the policy mounts there. A host name or an OS
 * that cannot be read, or that is not plain ASCII, becomes a harmless default. Returns 0, or the
 * fault_reason with `fault` set; facts_clear must follow in any case.
 */
int facts_read(struct facts *facts, int ca_fd, const char *folder, struct fault *fault);

/* Frees the CA bundle; the texts stay. */
void facts_clear(struct facts *facts);

#endif

/*
 * Landlock (Documentation/userspace-api/landlock.rst), by system call: Debian 12's header knows
 * neither the network rights nor the scopes. Used by the launcher and by the worker's lock.
 * Single-threaded use.
 */
#ifndef CLOISTER_LANDLOCK_H
#define CLOISTER_LANDLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* The kernel's Landlock ABI, 1 and above, or a negative errno if it has none. */
int landlock_abi(void);

/*
 * Makes a ruleset that denies every file system right which ABI `abi` knows; from ABI 4 on also TCP
 * bind and, unless `tcp`, connect; from ABI 6 on abstract sockets and signals beyond the domain.
 * Returns a descriptor (close-on-exec) that the caller closes, or a negative errno.
 */
int landlock_deny_all(int abi, bool tcp);

/*
 * Leaves `rights` (enum policy_right) possible at and below `path`; what is no folder can have only
 * those of a file (POLICY_RIGHTS_OF_A_FILE). Returns 0 or a negative errno.
 */
int landlock_leave(int ruleset, int abi, const char *path, uint32_t rights);

/* Enters the domain; needs no_new_privs. Returns 0 or a negative errno. */
int landlock_enter(int ruleset);

#endif

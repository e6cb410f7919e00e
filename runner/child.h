/*
 * The command itself, from the fork to its execve(2).
 */
#ifndef CLOISTER_CHILD_H
#define CLOISTER_CHILD_H

#include "link.h"
#include "order.h"

/* The path under which a command finds its script: the only descriptor beside 0, 1 and 2. */
#define CHILD_SCRIPT_FD   3
#define CHILD_SCRIPT_PATH "/proc/self/fd/3"

struct child {
    const struct order *order;
    int descriptors[LINK_DESCRIPTORS]; /* become 0, 1 and 2 */
    int script;                        /* memfd with the order's script, or -1 */
    int report;                        /* pipe that closes on exec: takes an int, errno */
};

/*
 * Puts the order's script into a sealed memfd, which a command can read and nobody can change.
 * Returns it, or -errno; without a script -ENOENT.
 */
int child_script(const struct order *order);

/*
 * In a fresh child process of one thread: a session of its own, default signals, umask 022, nothing
 * open but the three pipe ends and the script, and then the program. Where that fails it writes the
 * errno to `report` and exits with status 127. Of the profiles user and admin the environment is
 * that of the process's account, of user the working folder too.
 */
__attribute__((noreturn)) void child_run(const struct child *child);

#endif

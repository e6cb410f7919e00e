/*
 * What the process that holds a signed command does to itself before it runs anything. It is no
 * worker: it execs what it was told to, and so do its children, all under this filter and under
 * what the launcher has set up.
 */
#ifndef CLOISTER_COMMAND_H
#define CLOISTER_COMMAND_H

#include "policy.h"

/*
 * Sets no_new_privs, installs `filter` in the calling thread, whose children inherit it, and reads
 * from the kernel that it has one filter more than before. Must run in a process of one thread,
 * with /proc mounted. Returns 0 or a negative errno: -EPERM if the kernel shows anything else; then
 * the caller runs nothing.
 */
int sandbox_command(const struct sandbox_filter *filter);

#endif

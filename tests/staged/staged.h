/*
 * For tests: programs of the build where everybody can reach them, as installed ones are. A build
 * may stand below a folder that only root may enter, and there no other account executes them.
 *
 * Needs root. One thread. A failed step prevents the test and aborts it with a message.
 */
#ifndef CLOISTER_STAGED_H
#define CLOISTER_STAGED_H

/* The path of a copy of the program at `path` (absolute): of the same name, root's, mode 0755, in a
 * folder of its own below /var/tmp. The same path gives the same copy. The text, and the copy, last
 * until the process that made it exits. At most 8 programs. */
const char *staged(const char *path);

#endif

/*
 * What cloister-ticket does to itself. It runs as the desktop user with a group of its own
 * (setgid), started from an environment that the user's other programs choose; those may not read
 * it, lead it astray, or use it.
 *
 *     harden_early()     the first statement
 *     harden_memory()    before any secret
 *     ... open the display ...
 *     harden_files()     one thread still: the file system closes
 *     ... connect to the agent, start threads ...
 *     harden_calls()     seccomp for all threads; now frames may come
 *
 * Each returns 0, or -errno with the name of the failed step in `*step`. There is no fallback.
 */
#ifndef CLOISTER_HARDEN_H
#define CLOISTER_HARDEN_H

#include <sys/types.h>

/*
 * Not dumpable, no core files, one malloc arena; descriptors above 2 closed, 0 to 2 open; umask
 * 077; an environment of nothing but DISPLAY, XAUTHORITY, HOME, TERM, COLORTERM and TZ; no
 * capability but CAP_IPC_LOCK; no_new_privs; signals as they are by default.
 */
int harden_early(const char **step);

/*
 * Locks all memory, present and future, against swap as it is touched: libwebp, libarchive and
 * liblz4 keep pixels in memory of their own. Needs CAP_IPC_LOCK (a file capability of the installed
 * program) or an unlimited RLIMIT_MEMLOCK: -EPERM without. The heap, which they fill and free
 * without wiping, is reserved (up to 1 GiB of addresses) and left out of core files even if the
 * process could be dumped.
 */
int harden_memory(const char **step);

/*
 * Takes the user's own group for a while, for what reads a file that the environment names, and
 * takes the program's group back.
 */
int harden_lower_group(gid_t *saved, const char **step);
int harden_raise_group(gid_t saved, const char **step);

/* No file can be opened any more (Landlock), and it is tried. In a process of one thread. */
int harden_files(const char **step);

/* Only the calls of ticket.policy can be made any more, by any thread. */
int harden_calls(const char **step);

#endif

/*
 * What cloister-ticket does to itself. It runs as the desktop user with a group of its own
 * (setgid), started from an environment that the user's other programs choose; those may not read
 * it, lead it astray, or use it.
 *
 *     harden_early()     the first statement
 *     harden_memory()    before any secret
 *     harden_lower_group(), harden_raise_group()   around reading the X cookie file's bytes
 *     harden_files()     one thread still: the file system closes
 *     ... knock at the agent's door, connect to the agent ...
 *     harden_leave_group()   the program's group is gone for good
 *     ... connect the display's socket, start threads ...
 *     harden_calls()     seccomp for all threads; now the display may speak and frames may come
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

/*
 * Gives the program's group up in all threads: real, effective and saved group are the user's own,
 * and nothing brings the other back. The process stays undumpable, which from then on is all that
 * keeps the user's other programs from tracing it. Once the agent's door is passed, before the
 * display's server has said a word.
 */
int harden_leave_group(const char **step);

/* Only the calls of ticket.policy can be made any more, by any thread; none has another group. */
int harden_calls(const char **step);

#endif

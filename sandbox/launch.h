/*
 * cloister-launch: applies one policy to its own process and execs the worker.
 *
 *   cloister-launch KIND [--instance N] [--set NAME=VALUE]... [--cgroup FILE]... [--root-dir DIR]
 *                   [--xauthority UID.GID:PATH] [--argument WORD]...
 *
 * The monitor execs it as root in a child that clone3(2) made with the policy's namespaces
 * (struct policy.namespaces). It is single-threaded and links nothing but libc.
 *
 *   KIND            a policy's kind
 *   --instance N    which of the policy's instances, from 0. Instance 0 runs as the policy's user,
 *                   instance N as the account "<user>-<N>". Accounts come from /etc/passwd.
 *   --set           channel, state, x11 or runtime: absolute paths for the policy's ${variables}
 *   --cgroup FILE   a cgroup.procs (v2) or tasks/cgroup.procs (v1) file to join; the monitor has
 *                   made and limited the leaf
 *   --root-dir DIR  an existing folder of root's to build the private root on; nothing is written
 *                   into it, since it is covered by a tmpfs. Default LAUNCH_ROOT_DIR
 *   --xauthority    the X cookie file, opened with the file system rights of that uid and gid, for
 * a policy with `descriptor xauthority`. Without it that descriptor is an empty file. A regular
 * file of at most LAUNCH_XAUTHORITY_MAX bytes
 *   --argument      becomes the worker's argv[1] and so on. The environment is empty
 *
 * Descriptors on entry: 0 the life pipe's read end, 1 /dev/null, 2 the log pipe, 3 the status
 * pipe's write end, and 4 + i the policy's descriptor number i (a place that stays unused for
 * `xauthority`, which the launcher makes itself, and may be closed for an optional one). All others
 * are closed. The worker gets 0, 1, 2 and 3 + i.
 *
 * The status pipe: on failure exactly one struct launch_failure is written and the launcher exits
 * with status 1. When the exec succeeds the pipe closes with nothing written. The life pipe must
 * still have a writer when the parent-death signal has been set, or the launch fails.
 */
#ifndef CLOISTER_LAUNCH_H
#define CLOISTER_LAUNCH_H

#include <stdint.h>

#define LAUNCH_ROOT_DIR       "/run/cloister/root"
#define LAUNCH_XAUTHORITY_MAX 65536

#define LAUNCH_FD_STATUS 3 /* on entry */
#define LAUNCH_FD_FIRST  4 /* on entry, the policy's descriptor 0 */
#define LAUNCH_FD_WORKER 3 /* in the worker, the policy's descriptor 0 */

enum launch_stage {
    LAUNCH_ARGUMENTS = 1, /* unknown kind or option, missing variable, bad instance */
    LAUNCH_NAMESPACES,    /* not in namespaces of its own */
    LAUNCH_ACCOUNT,       /* the user does not exist, or is root */
    LAUNCH_XAUTHORITY,    /* the cookie file cannot be read */
    LAUNCH_CGROUP,        /* joining, or the cgroup namespace */
    LAUNCH_HOSTNAME,      /* sethostname */
    LAUNCH_PROGRAM,       /* a program or library is absent, or others than root could change it */
    LAUNCH_ROOT,          /* the tmpfs of the private root, or making the old one private */
    LAUNCH_MOUNT,         /* a mount of the policy */
    LAUNCH_PIVOT,         /* pivot_root, detaching the old root, or the last remount */
    LAUNCH_LIMITS,        /* setrlimit */
    LAUNCH_IDENTITY,      /* groups, gid, uid */
    LAUNCH_CAPABILITIES,  /* the five sets, securebits */
    LAUNCH_NO_NEW_PRIVS,
    LAUNCH_PARENT_DEATH, /* the signal, or the parent is gone already */
    LAUNCH_LANDLOCK,
    LAUNCH_DESCRIPTORS, /* a descriptor of the policy is missing, or one could not be closed */
    LAUNCH_EXEC,
    LAUNCH_STAGE_COUNT,
};

/* What the status pipe carries; both ends are built from one tree and run on one machine. */
struct launch_failure {
    uint32_t stage; /* enum launch_stage */
    int32_t error;  /* errno, positive */
};

/* The stage as a word for logs, "mount"; "unknown" for a number that is none. */
const char *launch_stage_name(uint32_t stage);

#endif

/*
 * cloister-launch: applies one policy to its own process and execs the worker.
 *
 * The monitor execs it as root, without arguments, in a child that clone3(2) made with the policy's
 * namespaces (struct policy.namespaces) and that is in its control group already. It is
 * single-threaded and links nothing but libc.
 *
 * Descriptors on entry: 0 the life pipe's read end, 1 /dev/null, 2 the log pipe, 3 + i the policy's
 * descriptor number i, and LAUNCH_FD_LINK. The place of `xauthority` stays empty, since the
 * launcher makes that one itself, and so may that of an optional one. The worker gets the same but
 * the link; all others are closed. Its environment is empty and it has no arguments; a policy with
 * `filter command` gives its program one, the policy's kind.
 *
 * The link is one end of a SOCK_SEQPACKET socketpair. The launcher waits on it for one
 * struct launch_order and ends if the other end is closed before. On failure exactly one
 * struct launch_failure comes back and the launcher exits with status 1; when the exec succeeds the
 * link closes with nothing sent. The life pipe must still have a writer when the parent-death
 * signal has been set, or the launch fails.
 */
#ifndef CLOISTER_LAUNCH_H
#define CLOISTER_LAUNCH_H

#include <stdint.h>

#include "namespaces.h"
#include "policy.h"

#define LAUNCH_XAUTHORITY_MAX 65536
#define LAUNCH_STAGE_MAX      16

#define LAUNCH_FD_FIRST 3  /* the policy's descriptor 0 */
#define LAUNCH_FD_LINK  99 /* out of the way of the policy's */

/* All that a launch needs to know beside the constant policies. Both ends of the link are built
 * from one tree and run on one machine; every text ends in NUL. */
struct launch_order {
    char kind[16];                 /* of the policy */
    uint32_t uid, gid;             /* what identity_fits() the policy */
    struct namespaces monitors;    /* those that the launcher must have left */
    char paths[POLICY_BASES][320]; /* what the policy's paths begin with; the first is empty */
    char root[80];       /* an existing folder of root's to build the private root on; nothing is
                            written into it, since it is covered by a tmpfs */
    uint32_t cookie_uid; /* whose file system rights the cookie files are opened with */
    uint32_t cookie_gid;
    char cookies[2][256]; /* where the X cookie may lie, for a policy with `descriptor xauthority`;
                             the first that exists is taken: a regular file of at most
                             LAUNCH_XAUTHORITY_MAX bytes. If none does the worker gets an empty
                             one */
};

/*
 * What comes back over the link. The stages are those of the table in launch.c, and "cgroup" and
 * "exec" of the monitor's child before it is the launcher:
 *   order         not whole, of an unknown kind, or for ids that the policy's identity excludes
 *   cgroup        joining it, or the cgroup namespace
 *   namespaces    not in namespaces of its own
 *   xauthority    the cookie file cannot be read
 *   hostname      sethostname
 *   root          the tmpfs of the private root, or making the old one private
 *   program       a program or library is absent, or others than root could change it
 *   mount         a mount of the policy
 *   pivot         pivot_root, detaching the old root, or the last remount
 *   limits        setrlimit
 *   capabilities  the five sets, securebits
 *   identity      groups, gid, uid
 *   no_new_privs, landlock, exec
 *   parent death  the signal, or the parent is gone already
 *   descriptors   a descriptor of the policy is missing, or one could not be closed
 */
struct launch_failure {
    char stage[LAUNCH_STAGE_MAX]; /* ends in NUL */
    int32_t error;                /* errno, positive */
};

#endif

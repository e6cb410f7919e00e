/*
 * The worker's half of the sandbox: what a process does to itself before it reads any input.
 *
 * A worker's main is
 *
 *     sandbox_early()                    the first statement
 *     open files, secret_alloc           one thread, the files that the policy mounts are readable
 *     sandbox_files(&NAME_filter, &r)    one thread still: the file system closes
 *     nng, threads, dial, connect        sockets still work
 *     sandbox_lock(&NAME_filter, &r)     seccomp for all threads; now input may be read
 *
 * The file system closes before the first thread since landlock_restrict_self(2) and capset(2) bind
 * the calling thread and those that it makes. Landlock does not cover connect(2) to a pathname
 * socket, so the channel is dialled afterwards.
 *
 * Every function returns 0, or a negative errno with the name of the failed step in
 * report->stage. There is no fallback: the caller logs the stage and exits.
 */
#ifndef CLOISTER_LOCK_H
#define CLOISTER_LOCK_H

#include "policy.h"
#include "secret_memory.h"

/* Bits of sandbox_report.below: layers that run below their policy's preferred form. */
enum sandbox_below {
    SANDBOX_BELOW_LANDLOCK = 1 << 0,
    SANDBOX_BELOW_MDWE = 1 << 1,
    SANDBOX_BELOW_SECRET = 1 << 2,
};

/* What stands, for the hello to the broker, `cloister status` and the alert. */
struct sandbox_report {
    const char *stage;   /* the step that failed; NULL after success */
    const char *overlay; /* sandbox_overlay() */
    uint8_t filter_sha256[32];
    uint16_t instructions;
    uint16_t syscalls;
    uint16_t tasks; /* threads whose status was read back as "Seccomp: 2" */
    uint8_t landlock_abi;
    uint8_t mdwe;   /* 1: PR_SET_MDWE holds; the filter refuses W^X violations either way */
    uint8_t secret; /* enum secret_kind, SECRET_NONE if the policy uses none */
    uint8_t below;  /* enum sandbox_below */
};

/*
 * The first statement of every worker's main: makes the process undumpable (exec had reset that),
 * forbids core files, keeps glibc on one malloc arena (a late one opens a file in /sys and would be
 * killed), and checks that the launcher's parent-death signal holds. Single-threaded. Returns 0 or
 * a negative errno.
 */
int sandbox_early(void);

/*
 * Says what a ${variable} means that the policy's `stays` mounts begin with ("runtime"), as the
 * monitor told the launcher. `value` is an absolute path and is kept by reference. Before
 * sandbox_files, which fails if one that it needs is missing.
 */
void sandbox_variable(const char *name, const char *value);

/*
 * Closes the file system: gives up the CAP_IPC_LOCK that the launcher may have left, sets
 * PR_SET_MDWE, decides the kind of secret memory if the policy uses it, enters a Landlock domain
 * that holds nothing but /proc (own process) and what the policy says `stays`, and probes that a
 * file which could be read now cannot. Must run in a process of one thread: -EBUSY otherwise.
 * `*report` is overwritten.
 */
int sandbox_files(const struct sandbox_filter *filter, struct sandbox_report *report);

/*
 * Verifies all that the launcher and sandbox_files set up, in every thread (uid, groups,
 * capabilities, securebits, no_new_privs, dumpable, parent-death signal, open descriptors: sockets,
 * pipes, event descriptors and memfds, and beyond them only the policy's), installs the filter in
 * all threads, and reads "Seccomp: 2" back for each. `*report` is the one that sandbox_files
 * filled; if sandbox_files has not run in this process it runs first. Call it from one thread while
 * no other makes threads.
 */
int sandbox_lock(const struct sandbox_filter *filter, struct sandbox_report *report);

/*
 * The name of the policy overlay that this build was compiled with ("sanitizer"), which weakens the
 * filter and is said in --version and `cloister status`; NULL in a release.
 */
const char *sandbox_overlay(void);

#endif

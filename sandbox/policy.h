/*
 * The constant tables that policyc (sandbox/policyc) makes of a `<name>.policy` file at build time.
 * docs/policy-language.md describes the language. Nothing parses policies at run time.
 *
 * `struct policy` is what the monitor and the launcher apply before exec; they find the tables in
 * cloister_policies[]. `struct sandbox_filter` is what the worker applies to itself (lock.h); each
 * worker links its own, `extern const struct sandbox_filter <name>_filter`.
 */
#ifndef CLOISTER_POLICY_H
#define CLOISTER_POLICY_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How much a policy wants of a layer that not every kernel has. Below PREFERRED is reported. */
enum policy_need {
    POLICY_UNUSED,
    POLICY_PREFERRED,
    POLICY_REQUIRED,
};

enum policy_mount_kind {
    POLICY_MOUNT_FILE,    /* a file, read-only */
    POLICY_MOUNT_DIR,     /* a folder, read-only */
    POLICY_MOUNT_WRITE,   /* a folder, writable */
    POLICY_MOUNT_SOCKET,  /* a socket to connect to */
    POLICY_MOUNT_DEVICE,  /* a device node */
    POLICY_MOUNT_TMPFS,   /* an empty private file system of `size` bytes, owned by the worker */
    POLICY_MOUNT_PROC,    /* a new procfs, subset=pid, hidepid=invisible */
    POLICY_MOUNT_PROGRAM, /* the worker's own program or a shared library: may be executed */
    POLICY_MOUNT_EXEC,    /* a folder, read-only; what lies there may be executed */
    POLICY_MOUNT_LINK,    /* a symbolic link; `source` is what it says */
    POLICY_MOUNT_PROCFS,  /* a new procfs, all of it, hidepid=invisible */
};

/*
 * What Landlock leaves possible below a mount, in the kernel's own bits
 * (include/uapi/linux/landlock.h of Linux 6.12, LANDLOCK_ACCESS_FS_*), so that nothing has to be
 * translated when they are applied. Bit 14 is unknown before ABI 3 and left out there.
 */
enum policy_right {
    POLICY_EXECUTE = 1 << 0,
    POLICY_WRITE = 1 << 1 | 1 << 14,      /* write and truncate existing files */
    POLICY_LIST = 1 << 3,                 /* list folders */
    POLICY_READ = 1 << 2 | POLICY_LIST,   /* and read files */
    POLICY_DIRECTORIES = 1 << 4 | 1 << 7, /* remove and make folders */
    POLICY_REMOVE = 1 << 5,               /* unlink files */
    POLICY_CREATE = 1 << 8,               /* make regular files, and rename within a folder */
    POLICY_SOCKETS = 1 << 9,              /* bind sockets */
    POLICY_PIPES = 1 << 10,               /* make FIFOs */
    POLICY_LINKS = 1 << 12,               /* make symbolic links */
    POLICY_MOVES = 1 << 13,               /* rename and link from one folder into another */
};

/* What of them a file, a device or a socket can have; the kernel refuses a rule with more. */
#define POLICY_RIGHTS_OF_A_FILE (POLICY_EXECUTE | POLICY_WRITE | 1 << 2)

/* What a path begins with: nothing, or what the monitor tells the launcher (launch.h). */
enum policy_base {
    POLICY_BASE_NONE,
    POLICY_BASE_CHANNEL, /* ${channel} */
    POLICY_BASE_STATE,
    POLICY_BASE_X11,
    POLICY_BASE_RUNTIME,
    POLICY_BASE_PROGRAM, /* the worker's program; only in what policyc itself adds */
    POLICY_BASES,
};

struct policy_mount {
    enum policy_mount_kind kind;
    enum policy_base source_base;
    const char *source; /* behind its base; NULL for tmpfs and both of proc */
    enum policy_base target_base;
    const char *target; /* behind its base: absolute in the private root */
    uint64_t size;      /* of a tmpfs, bytes */
    uint32_t type;      /* S_IF* that the source must be, or the link is; 0 without a source */
    uint32_t flags;     /* MOUNT_ATTR_* of mount_setattr(2) that it is given */
    uint32_t rights;    /* enum policy_right */
    bool optional;      /* left out if the source does not exist */
};

struct policy_limit {
    int resource; /* RLIMIT_* of getrlimit(2) */
    uint64_t value;
};

/* The variables that a mount may name; the monitor tells the launcher what they are (launch.h). */
enum policy_variable {
    POLICY_VARIABLE_CHANNEL = 1 << 0, /* the instance's channel socket */
    POLICY_VARIABLE_STATE = 1 << 1,   /* the kind's own folder, <state_dir>/<kind> */
    POLICY_VARIABLE_X11 = 1 << 2,     /* the X server's socket, /tmp/.X11-unix/X0 */
    POLICY_VARIABLE_RUNTIME = 1 << 3, /* /run/cloister */
};

/* Whose rights the process has. */
enum policy_identity {
    POLICY_ACCOUNT, /* an account of the agent's own, `user` */
    POLICY_SESSION, /* the desktop session's user; nothing runs while there is none */
    POLICY_ROOT,
};

#define POLICY_DESCRIPTORS_MAX 3

struct policy_descriptor {
    const char *name;
    bool optional; /* may be closed when the worker starts */
};

struct policy {
    const char *kind; /* at most 15 bytes */
    enum policy_identity identity;
    const char *user;    /* POLICY_ACCOUNT: that of instance 0; instance n runs as "<user>-<n>".
                            Otherwise NULL */
    const char *program; /* file name in the launcher's own folder */
    uint32_t instances;  /* most at one time */
    uint64_t namespaces; /* CLONE_NEW* that the monitor passes to clone3 */
    uint32_t variables;  /* enum policy_variable: those that its mounts name */
    bool new_cgroup;     /* the launcher unshares the cgroup namespace, after joining */

    uint64_t memory_max;  /* bytes, of the cgroup leaf; 0: none */
    uint32_t pids_max;    /* 0: none */
    uint32_t cpu_percent; /* of one core; 0: none */
    uint64_t memlock;     /* RLIMIT_MEMLOCK, bytes */

    bool command;   /* it is what holds a signed command, not a worker: `filter command` */
    bool host_root; /* no root of its own and no Landlock: it sees the host's mounts */

    const struct policy_mount *mounts; /* the first is the program */
    size_t mount_count;
    const struct policy_limit *limits;
    size_t limit_count;
    const struct policy_descriptor *descriptors; /* number i becomes descriptor 3 + i */
    size_t descriptor_count;

    uint8_t landlock_minimum; /* ABI */
    uint8_t landlock_preferred;
    const char *overlay; /* the name of the overlay compiled in ("sanitizer"), or NULL */
};

/* All policies of this build, NULL at the end. In generated policies.c. */
extern const struct policy *const cloister_policies[];

/* A mount whose contents the worker may still open after its lock. */
struct sandbox_keep {
    const char *path; /* in the private root; may begin with ${variable}, see sandbox_variable */
    uint32_t rights;  /* enum policy_right */
    bool optional;
};

struct sandbox_filter {
    const char *kind;
    const struct sock_filter *program; /* classic BPF, seccomp(2) */
    uint16_t instructions;
    uint16_t syscalls;  /* how many system calls have a rule that allows them */
    uint8_t sha256[32]; /* of `program`'s bytes, as PTRACE_SECCOMP_GET_FILTER returns them */

    enum policy_need mdwe;
    enum policy_need secret; /* memory from secret_alloc */
    uint8_t landlock_minimum;
    uint8_t landlock_preferred;
    bool shares_network; /* no network namespace of its own */

    const struct sandbox_keep *keeps;
    size_t keep_count;
    const struct policy_descriptor *descriptors;
    size_t descriptor_count;
    const char *probe;   /* a file that is readable until the lock and must not be afterwards */
    const char *overlay; /* as in struct policy */
};

#endif

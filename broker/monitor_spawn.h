/*
 * Starting one process of a policy: pipes, control group, clone3, cloister-launch, and the order
 * that it waits for (sandbox/launch.h). Not thread-safe.
 */
#ifndef CLOISTER_MONITOR_SPAWN_H
#define CLOISTER_MONITOR_SPAWN_H

#include <sys/types.h>

#include "launch.h"
#include "reader.h"

/* What the monitor holds of one process, -1 when closed. */
enum monitor_fd {
    MONITOR_LIFE,     /* write end of a pipe; closed: exit */
    MONITOR_LOG,      /* read end of its log */
    MONITOR_LAUNCHER, /* launch.h's link: the order goes out, a failure or end of file comes back */
    MONITOR_PIDFD,
    MONITOR_COMMAND, /* of a runner: the socketpair's end that its command will get */
    MONITOR_FDS,
};

struct monitor_child {
    pid_t pid; /* 0: none */
    int fd[MONITOR_FDS];
    struct launch_order order; /* sent when the broker says RELEASE; has uid and gid */
    char leaf[40];             /* its control group */
};

/* What all starts share. */
struct monitor_host {
    struct reading reading;
    char programs[256];           /* the folder of cloisterd, cloister-launch and the workers */
    struct namespaces namespaces; /* the monitor's own */
};

struct monitor_start {
    uint32_t row; /* of the policy among all */
    uint32_t slot, generation, instance;
    int passed[POLICY_DESCRIPTORS_MAX]; /* become the policy's, -1 for a place that stays empty */
};

/*
 * Starts a process of `policy` that waits for monitor_child_release. Returns 0 and fills `out`,
 * which has been forgotten, or an enum monitor_reason with errno set; nothing is left then.
 */
enum monitor_reason monitor_spawn(struct monitor_child *out, const struct monitor_host *host,
                                  const struct policy *policy, const struct monitor_start *start);

/* Whom an instance of policy `row`, which is `policy`, runs as: 0, or -1 if its account is missing,
 * which has been logged. A session's user must have been found fit (monitor_table.h). */
int monitor_account(struct reader_account *out, const struct monitor_host *host, uint32_t row,
                    uint32_t instance, const struct policy *policy);

/* Sends the order that the launcher waits for. */
void monitor_child_release(const struct monitor_child *child);

/* Sends SIGKILL. */
void monitor_child_kill(const struct monitor_child *child);

/* Closes all descriptors and forgets the process, which has been reaped or was never there. */
void monitor_child_forget(struct monitor_child *child);

/* Checks that the folder of the programs and `name` in it are root's alone. 0, or -errno. */
int monitor_program_check(const struct monitor_host *host, const char *name);

/* Makes folder `path` below descriptor `at` where it is missing, and gives it mode and owner unless
 * it has them (the file system may be read-only). Its parent must be root's. 0, or -errno. */
int monitor_folder(int at, const char *path, mode_t mode, uint32_t uid, uint32_t gid);

/* Closes *fd if it is open, and sets it to -1. */
void monitor_close(int *fd);

#endif

/*
 * Starting one process of a policy: pipes, control group, clone3, and the gate that it waits at
 * before it execs cloister-launch (sandbox/launch.h). Not thread-safe.
 */
#ifndef CLOISTER_MONITOR_SPAWN_H
#define CLOISTER_MONITOR_SPAWN_H

#include <sys/types.h>

#include "reader.h"

#define MONITOR_PASSED_MAX 3

/* What the monitor holds of one process, -1 when closed. The first four are ends of pipes. */
enum monitor_fd {
    MONITOR_LIFE,   /* closed: exit */
    MONITOR_LOG,    /* read end of its log */
    MONITOR_STATUS, /* struct launch_failure, or end of file when the worker was exec'd */
    MONITOR_GATE,   /* write one byte: go on. Closed: exit */
    MONITOR_PIDFD,
    MONITOR_FDS,
};

struct monitor_child {
    pid_t pid; /* 0: none */
    int fd[MONITOR_FDS];
    struct reader_account account;
    char leaf[40]; /* its control group */
};

/* What all starts share. */
struct monitor_host {
    struct reading reading;
    char programs[256]; /* the folder of cloisterd, cloister-launch and the workers */
};

struct monitor_start {
    uint32_t row; /* of the policy among all */
    uint32_t slot, generation, instance;
    int passed[MONITOR_PASSED_MAX]; /* become the policy's, -1 for a place that stays empty */
};

/*
 * Starts a process of `policy` that waits at its gate. Returns 0 and fills `out`, or an enum
 * monitor_reason with errno set; nothing is left then.
 */
enum monitor_reason monitor_spawn(struct monitor_child *out, const struct monitor_host *host,
                                  const struct policy *policy, const struct monitor_start *start);

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

/*
 * Starting one process of a policy: pipes, control group, clone3, and the gate that it waits at
 * before it execs cloister-launch (sandbox/launch.h). Not thread-safe.
 */
#ifndef CLOISTER_MONITOR_SPAWN_H
#define CLOISTER_MONITOR_SPAWN_H

#include <sys/types.h>

#include "reader.h"

#define MONITOR_PASSED_MAX 3

/* One process and what the monitor holds of it. Descriptors are -1 when closed. */
struct monitor_child {
    pid_t pid; /* 0: none */
    int pidfd;
    int gate;   /* write one byte: go on. Closed: exit */
    int life;   /* closed: exit */
    int status; /* struct launch_failure, or end of file when the worker was exec'd */
    int log;    /* read end of its log pipe; the caller's to take */
    struct reader_account account;
    char leaf[40]; /* its control group */
};

#define MONITOR_NO_CHILD                                                                           \
    ((struct monitor_child){.pidfd = -1, .gate = -1, .life = -1, .status = -1, .log = -1})

/* What all starts share. */
struct monitor_host {
    struct reading reading;
    char programs[256]; /* the folder of cloisterd, cloister-launch and the workers */
};

struct monitor_start {
    const struct policy *policy;
    uint32_t row; /* of the policy among all */
    uint32_t slot, generation, instance;
    const int *passed; /* descriptors that become the policy's, -1 for a place that stays empty */
    int passed_count;
};

/*
 * Starts a process that waits at its gate. Returns 0 and fills `out`, or an enum monitor_reason
 * with errno set; nothing is left then.
 */
enum monitor_reason monitor_spawn(struct monitor_child *out, const struct monitor_host *host,
                                  const struct monitor_start *start);

/* Sends SIGKILL. */
void monitor_child_kill(const struct monitor_child *child);

/* Closes all descriptors and forgets the process, which has been reaped. */
void monitor_child_forget(struct monitor_child *child);

/* Checks that the folder of the programs and `name` in it are root's alone. 0, or -errno. */
int monitor_program_check(const struct monitor_host *host, const char *name);

/* Makes folder `path` below descriptor `at` where it is missing, and gives it mode and owner. Its
 * parent must be root's. 0, or -errno. */
int monitor_folder(int at, const char *path, mode_t mode, uint32_t uid, uint32_t gid);

/* Closes *fd if it is open, and sets it to -1. */
void monitor_close(int *fd);

#endif

/*
 * cloisterd's life: one broker, the workers that it asks for, signals, and the session. All of it
 * in one thread around one epoll descriptor. See monitor_protocol.h for what is said to the broker.
 */
#ifndef CLOISTER_MONITOR_H
#define CLOISTER_MONITOR_H

#include "monitor_spawn.h"
#include "monitor_table.h"

#define MONITOR_BROKER_CHILD MONITOR_SLOTS /* its place among the children */

enum monitor_phase {
    MONITOR_PHASE_UP,       /* the broker runs */
    MONITOR_PHASE_STOPPING, /* told to stop, the broker has until the deadline */
    MONITOR_PHASE_ENDING,   /* everything is being ended; at the deadline it is killed */
    MONITOR_PHASE_WAITING,  /* nothing runs; at the deadline the broker is started again */
};

struct monitor {
    struct monitor_host host;
    struct monitor_table table;
    struct monitor_child children[MONITOR_SLOTS + 1];
    const struct policy *const *policies;
    const char *notify; /* $NOTIFY_SOCKET or NULL */
    enum monitor_phase phase;
    bool last; /* do not start the broker again */
    uint64_t deadline_ms, started_ms;
    uint32_t broker_starts, failures; /* in a row */
    int epoll, signals, session_watch, link;
    uint8_t *key; /* of the grants that this broker's workers get, monitor_grant.c */
};

/*
 * Runs until SIGTERM or SIGINT, when everything has been stopped and cleaned up. `monitor` has
 * host, policies and notify filled in, and session_watch: a descriptor, -1 for none. Returns 0, or
 * -errno if it could not begin.
 */
int monitor_run(struct monitor *monitor);

/* Makes <state>, and <runtime> with its folders and its lock file. 0; -EWOULDBLOCK if another
 * cloisterd runs there; or -errno, which has been logged. */
int monitor_make_runtime(const struct monitor_host *host, const struct reader_account *broker);

/* Removes the sockets in chan/ and door/, and with `all` the folders too. */
void monitor_clean_runtime(const struct monitor_host *host, bool all);

/* Writes `size` bytes into a sealed memfd of that name, its offset behind them. The descriptor, or
 * -1, which has been logged. */
int monitor_seal(const char *name, const void *bytes, size_t size);

/* A datagram socket connected to the one at `path` ("@..." is an abstract one), or -1: the broker's
 * way to syslog, which it could not open itself. `path` may be NULL. */
int monitor_connect(const char *path);

/* Makes the key of a new broker's grants (order/grant.h). 0, or -1 with errno set. */
int monitor_key_make(struct monitor *monitor);

/* Wipes it. */
void monitor_key_wipe(struct monitor *monitor);

/*
 * Opens what the policy of the instance in `slot` names as descriptors, into `passed`, which the
 * caller closes; -1 stays where there is nothing. Of a runner's "command" the other end goes into
 * its MONITOR_COMMAND, from where its command gets it as "runner".
 */
void monitor_descriptors(struct monitor *monitor, uint32_t slot,
                         int passed[POLICY_DESCRIPTORS_MAX]);

/* Logs that what `message` asks for was not started, and why: of a command, which. */
void monitor_log_refusal(const struct monitor_message *message, const char *why);

/* Tells the service manager (sd_notify(3)), if there is one at `path`. */
void monitor_notify(const char *path, const char *text);

/* Relays one write of the broker's to its log, which is at most PIPE_BUF bytes (pipe2(2),
 * O_DIRECT): printable bytes and whole lines only, so that it can neither reach a terminal nor
 * begin a line of the monitor's. False at its end. */
bool monitor_relay_log(int log);

#endif

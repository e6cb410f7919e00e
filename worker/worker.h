/*
 * What every worker does alike: the order of its start, its channel, its wait.
 *
 *     int main(void)
 *     {
 *         if (sandbox_early())
 *             return WORKER_EXIT_SANDBOX;
 *         ... open what must be opened by path ...
 *         struct worker worker;
 *         worker_start(&worker, "vault", IPC_PEER_VAULT, &vault_filter);  file system closed,
 * welcome
 *         ... prepare, by worker.welcome.config ...
 *         worker_lock(&worker);                                           locked, the broker knows
 *         for (;;) {
 *             worker_wait(&worker, fds, count, timeout_ms);
 *             while (worker_next(&worker, &message)) { ...; message_free(&message); }
 *         }
 *     }
 *
 * All functions are called from the main thread. Those that return nothing end the process where
 * they fail, after a log line: a worker without its channel or its lock has nothing to do.
 */
#ifndef CLOISTER_WORKER_H
#define CLOISTER_WORKER_H

#include <poll.h>

#include "channel.h"
#include "cloister.pb.h"
#include "exit_code.h"
#include "lock.h"

#define WORKER_CHANNEL "/channel" /* the broker's socket in a worker's private root */
#define WORKER_LIFE_FD 0          /* end of file: the monitor is gone */

struct worker {
    const char *name;
    enum ipc_peer peer;
    const struct sandbox_filter *filter;
    struct sandbox_report report;
    struct channel *channel;
    struct message hello_answer; /* owns the welcome's blob */
    ipc_Welcome welcome;
    uint32_t last_request;
};

/*
 * Closes the file system (sandbox_files), dials WORKER_CHANNEL, says Hello and waits up to 10 s for
 * the Welcome. `name` and `filter` are kept by reference.
 */
void worker_start(struct worker *worker, const char *name, enum ipc_peer peer,
                  const struct sandbox_filter *filter);

/* Puts a lock's report into the schema's words. */
void worker_fill_report(const struct sandbox_report *from, ipc_LockReport *to);

/* Locks (sandbox_lock) and tells the broker Ready with the lock's report. */
void worker_lock(struct worker *worker);

/*
 * Waits until a message, one of the caller's descriptors, or the time-out (-1: none). Fills the
 * revents of `fds` (at most 6). Ends the process when the life pipe ends.
 */
void worker_wait(struct worker *worker, struct pollfd *fds, size_t count, int timeout_ms);

/*
 * Takes the next message, if there is one. A message that this peer may not be sent, or one that is
 * malformed, ends the process: the broker is broken or hostile.
 */
bool worker_next(struct worker *worker, struct message *message);

/* Decodes the body of a message into the nanopb structure of its type, or ends the process. */
void worker_decode(struct worker *worker, const struct message *message, void *out);

/* Sends a notification. */
void worker_notify(struct worker *worker, uint16_t number, const void *body);

/* Sends a request; its answer comes through worker_next under the returned number. */
uint32_t worker_request(struct worker *worker, uint16_t number, const void *body, const void *blob,
                        size_t blob_length);

/* Answers a request. */
void worker_answer(struct worker *worker, const struct message *request, uint16_t number,
                   const void *body, const void *blob, size_t blob_length);

/* Answers "no", with a reason and a few words (at most 191 bytes; cut if longer). */
void worker_refuse(struct worker *worker, const struct message *request, ipc_RefusalReason reason,
                   const char *detail);

/* Ends the process with a log line at LOG_ERR. */
__attribute__((noreturn, format(printf, 2, 3))) void worker_fail(enum worker_exit code,
                                                                 const char *format, ...);

#endif

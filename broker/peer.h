/*
 * A peer: the process at the other end of one channel, and how far that channel has come.
 *
 * Workers are started by the supervisor through the monitor; clients (tickets and command lines)
 * come through the door. A peer's kind, pid and uid come from the kernel and the monitor, never
 * from what it says. One thread.
 */
#ifndef CLOISTER_PEER_H
#define CLOISTER_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "channel.h"
#include "event_loop.h"
#include "quota.h"

#define PEERS_MAX 96

struct ticket;
struct broker;

struct peer {
    bool used;
    uint64_t received; /* messages, malformed ones included */
    bool condemned;    /* killed or cut off: nothing that it says counts any more */
    uint64_t serial;   /* never reused; 0: free */
    enum ipc_peer kind;
    enum ipc_phase phase;
    pid_t pid;
    uid_t uid;
    struct channel *channel;
    struct event_source channel_source;
    uint64_t
        deadline_ms; /* monotonic: connected, Hello and Ready must have come by then; 0: done */
    uint64_t seen[(IPC_TYPE_LIMIT + 63) / 64]; /* types sent, for `once` */
    struct quota quotas[IPC_TYPE_LIMIT];
    struct ticket *ticket; /* of a ticket program */
    struct broker *broker;
};

/* Why a message is refused. PEER_OK: it is not. */
enum peer_verdict {
    PEER_OK = 0,
    PEER_STAMPED,     /* it fills in what only the broker stamps */
    PEER_NOT_GRANTED, /* the schema does not grant that type to that peer in that phase */
    PEER_NO_REQUEST,  /* an answer without the number of a request, or a request without one */
    PEER_AGAIN,       /* once was all */
    PEER_QUOTA,
};

/*
 * Checks a parsed message against the schema: pure policy, no side effect but the counting of
 * quotas. Answers must still be matched with an outstanding request by the caller. `now_ms` is
 * monotonic.
 */
enum peer_verdict peer_check(struct peer *peer, const struct envelope *envelope, uint64_t now_ms);

/* Whether the peer has sent that type, one of those that may be sent `once`. */
bool peer_has_sent(const struct peer *peer, uint16_t number);

/* Words for a log line. */
const char *peer_verdict_name(enum peer_verdict verdict);

#endif

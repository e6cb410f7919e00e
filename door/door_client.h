/*
 * The way in for programs that a user starts: cloister and cloister-ticket.
 *
 * Connects to <runtime>/door/<name>, where the broker looks at who it is (SO_PEERCRED) and names an
 * endpoint made for this one process; dials it, says Hello and waits for the Welcome. The door's
 * connection stays open as long as the client lives: closing it ends the client.
 */
#ifndef CLOISTER_DOOR_CLIENT_H
#define CLOISTER_DOOR_CLIENT_H

#include "channel.h"
#include "cloister.pb.h"

#define DOOR_RUNTIME_DEFAULT "/run/cloister"

enum door_outcome {
    DOOR_OK = 0,
    DOOR_NOT_RUNNING, /* nobody answers at the door */
    DOOR_TURNED_AWAY, /* `why` is the broker's reason */
    DOOR_REFUSED,     /* the Hello was refused: see `refused` */
    DOOR_BROKEN,      /* what answers does not keep to the protocol */
};

struct door {
    int fd; /* the door's connection; polls readable when the agent hangs up */
    struct channel *channel;
    ipc_Welcome welcome;
    ipc_Refused refused;
    char why[192];
};

/*
 * Enters through the door of `peer`: "ticket" for IPC_PEER_TICKET, "control" for IPC_PEER_CONTROL
 * and IPC_PEER_ADMIN. Waits at most 10 s for each answer. Fills `why` with a sentence for the user
 * unless it succeeds; then the caller must call door_leave. One thread.
 */
enum door_outcome door_enter(struct door *door, const char *runtime, enum ipc_peer peer);

/*
 * Sends a request and waits up to `timeout_ms` for its answer; messages that come in between are
 * given to `other` (may be NULL: dropped). Returns 0 with the answer in `answer`, which the caller
 * frees with message_free, or -errno (-ETIMEDOUT, -ECONNRESET: the agent hung up).
 */
int door_call(struct door *door, uint16_t number, const void *body, const void *blob,
              size_t blob_length, int timeout_ms, struct message *answer,
              void (*other)(void *context, const struct message *message), void *context);

void door_leave(struct door *door);

#endif

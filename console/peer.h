/*
 * One WebSocket connection: assembles what libwebsockets hands over in pieces into whole messages
 * for its session, and writes what the session has to say. Belongs to the server's thread.
 */
#ifndef CONSOLE_PEER_H
#define CONSOLE_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libwebsockets.h>

#include "session.h"

/* A peer that does not finish the close handshake is cut off after this. */
#define PEER_CLOSE_MS 5000

struct peer {
    struct peer *next, **back; /* the server's list */
    struct lws *wsi;
    struct session *session;
    char address[RATE_ADDRESS_MAX], network[RATE_ADDRESS_MAX];
    uint8_t *data; /* the message under way */
    size_t length, capacity;
    uint64_t bytes_heard; /* from the socket, by OpenSSL's count */
    uint64_t close_since_ms;
    bool close_sent;
    bool stopped; /* reading, because answers pile up */
};

/* The address of a connection's peer as text; "" if it is gone. */
void peer_address(struct lws *wsi, char out[RATE_ADDRESS_MAX]);

/* Begins a session on an upgraded connection whose peer (zeroed memory of lws) is `p`. 0 or
 * -errno. */
int peer_open(struct peer *p, struct lws *wsi, const struct session_env *env);

/* Frees what peer_open and messages allocated. */
void peer_close(struct peer *p);

/* Takes one piece of a message from LWS_CALLBACK_RECEIVE. */
void peer_receive(struct peer *p, const void *data, size_t length);

/* Writes one message, from LWS_CALLBACK_SERVER_WRITEABLE. Non-zero: end the connection. */
int peer_write(struct peer *p);

/* Asks libwebsockets for what the session needs now: writing, closing, more or no more input. To
 * be called after anything happened to the session. */
void peer_settle(struct peer *p, uint64_t mono_ms);

/* Time passes: liveness, time-outs, cutting off. */
void peer_tick(struct peer *p, uint64_t mono_ms);

#endif

/*
 * Connections that are not WebSockets yet: nobody knows who they are, and each takes one of the
 * server's descriptors. So they are counted from the moment they are accepted, by network, and
 * those who only hold on give way to newcomers. Belongs to the server's thread.
 *
 * Times are monotonic milliseconds.
 */
#ifndef CONSOLE_HANDSHAKES_H
#define CONSOLE_HANDSHAKES_H

#include <stdbool.h>
#include <stdint.h>

#include <libwebsockets.h>

#include "rate.h"

/* Of one network. Beyond it, or when there are too many in all, a handshake has a second, which is
 * several round trips, instead of the ten seconds that the server allows otherwise. */
#define HANDSHAKES_PER_NETWORK 32
#define HANDSHAKES_HURRY_MS    1000

struct handshake {
    struct handshake *next, **back;
    struct lws *wsi;
    uint64_t since_ms;
    bool cut_off; /* and not gone yet: it is not counted any more */
    char network[RATE_ADDRESS_MAX];
};

struct handshakes {
    struct handshake *newest;
    unsigned connections; /* the server's limit */
};

/*
 * An accepted connection of `address`; nothing has been read from it. Beyond a quarter of the
 * connections for one network, or half of them in all, the oldest is cut off.
 */
void handshakes_begin(struct handshakes *h, struct lws *wsi, const char *address, uint64_t mono_ms);

/* It has become a WebSocket, or has ended. May be called more than once, and for any wsi. */
void handshakes_end(struct lws *wsi);

/* Time passes: cuts off those who have had their second. */
void handshakes_tick(struct handshakes *h, uint64_t mono_ms);

#endif

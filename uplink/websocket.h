/*
 * The client's side of a WebSocket (RFC 6455) after its opening handshake: wslay does the framing,
 * this bounds what the other side can make it do.
 *
 * Bounds: a message at most WEBSOCKET_MESSAGE_MAX bytes (a binary one more, if that is agreed) and
 * WEBSOCKET_MESSAGE_MS long; per second at most WEBSOCKET_FRAMES_PER_S frames, of which
 * WEBSOCKET_PINGS_PER_S control frames, and WEBSOCKET_BYTES_PER_S bytes; no reading while more than
 * WEBSOCKET_QUEUE_MAX messages wait to be sent (the pongs that a flood of pings asks for); one call
 * of websocket_service reads a bounded amount, so that other descriptors get their turn.
 *
 * Bytes go through a transport with the return values of tls_read and tls_write. Times are
 * monotonic milliseconds that the caller supplies. One thread at a time.
 */
#ifndef CLOISTER_UPLINK_WEBSOCKET_H
#define CLOISTER_UPLINK_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fault.h"

#define WEBSOCKET_MESSAGE_MAX  65536
#define WEBSOCKET_MESSAGE_MS   60000
#define WEBSOCKET_FRAMES_PER_S 8000
#define WEBSOCKET_PINGS_PER_S  1000 /* and pongs */
#define WEBSOCKET_BYTES_PER_S  (16 << 20)
#define WEBSOCKET_QUEUE_MAX    128
#define WEBSOCKET_PONG_MS      20000 /* from a ping to the next byte received */
#define WEBSOCKET_CLOSING_MS   5000  /* from our close frame to the peer's */
#define WEBSOCKET_REASON_MAX   123   /* RFC 6455 section 5.5 */

/* "Never", for deadlines. */
#define WEBSOCKET_NEVER INT64_MAX

struct websocket;

struct websocket_callbacks {
    ssize_t (*read)(void *user, void *out, size_t length);
    ssize_t (*write)(void *user, const void *bytes, size_t length);
    /* A whole text message in valid UTF-8, not terminated. May send and close, must not free. */
    void (*text)(void *user, const char *text, size_t length);
    /* Likewise a whole binary message. */
    void (*binary)(void *user, const void *bytes, size_t length);
};

/*
 * Makes a WebSocket over callbacks->read and ->write. `early` are bytes that arrived together with
 * the end of the handshake; they are copied and read first. `callbacks` and `user` must outlive it.
 * Returns 0 or -ENOMEM.
 */
int websocket_new(struct websocket **out, const struct websocket_callbacks *callbacks, void *user,
                  const void *early, size_t early_length, int64_t now_ms);
struct websocket *websocket_free(struct websocket *socket);

/* From now on takes binary messages of up to `length` bytes, at least WEBSOCKET_MESSAGE_MAX. */
void websocket_take_binary(struct websocket *socket, size_t length);

/*
 * From now on pings when nothing was sent for `heartbeat_ms`, and ends with FAULT_PING_TIMEOUT when
 * no byte comes back. 0 stops it.
 */
void websocket_heartbeat(struct websocket *socket, uint32_t heartbeat_ms);

/*
 * Queues a message; the bytes are copied. Returns 0, -EPIPE when the connection is closing, or
 * -ENOMEM.
 */
int websocket_send_text(struct websocket *socket, const char *text, size_t length);
int websocket_send_binary(struct websocket *socket, const void *bytes, size_t length);

/*
 * Queues a close frame and stops taking in messages; websocket_service goes on until the peer
 * answers or WEBSOCKET_CLOSING_MS have passed. `word` is cut to what a close frame can hold.
 */
void websocket_close(struct websocket *socket, uint16_t status, const char *word);

/*
 * Reads and writes what can be, calls `text` for each message. Returns true while the connection
 * stands; false when it has ended, with `fault` set to why: FAULT_CLOSED after a close frame of the
 * peer (see websocket_peer_close) or a lost connection, FAULT_PROTOCOL, FAULT_PING_TIMEOUT, or
 * FAULT_NONE when the end is the answer to websocket_close.
 */
bool websocket_service(struct websocket *socket, int64_t now_ms, struct fault *fault);

/*
 * The status of the close frame that the peer sent, 1005 when it had none, 0 when no close frame
 * came;
 * `*reason` becomes its text (UTF-8, hostile, terminated).
 */
uint16_t websocket_peer_close(const struct websocket *socket, const char **reason);

/* Whether to wait for the transport to become readable and writable, respectively. */
bool websocket_wants_read(const struct websocket *socket);
bool websocket_wants_write(const struct websocket *socket);

/* When websocket_service has to be called even if nothing happens; WEBSOCKET_NEVER if never. */
int64_t websocket_deadline_ms(const struct websocket *socket);

/* Bytes of messages that are queued and not yet handed to the transport. */
size_t websocket_queued(const struct websocket *socket);

#endif

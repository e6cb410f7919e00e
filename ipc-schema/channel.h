/*
 * Channels: one nng PAIR0 connection over ipc:// between the broker and one other process.
 *
 * The broker listens with one socket per worker instance and accepts exactly one connection, from
 * the pid and uid that it expects; the other side dials. A channel is used from one thread; nng's
 * own threads only set flags and write to the wake descriptor.
 *
 * Set-up must come before the seccomp lock; after it, channel_send and channel_receive need no
 * system call beyond read, write, sendmsg, recvmsg, futex and epoll.
 */
#ifndef CLOISTER_CHANNEL_H
#define CLOISTER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "envelope.h"

struct channel;
struct nng_msg;

/* A received message: the envelope points into the nng message that it owns. */
struct message {
    struct envelope envelope;
    struct nng_msg *raw;
};

enum channel_outcome {
    CHANNEL_OK = 0,
    CHANNEL_EMPTY,     /* nothing to receive now */
    CHANNEL_FULL,      /* the peer does not take its messages; nothing was sent */
    CHANNEL_CLOSED,    /* the peer is gone */
    CHANNEL_MALFORMED, /* a message that envelope_parse refuses; out->why says how */
};

/*
 * Starts nng's threads, which otherwise start with the first channel: a process that makes its
 * channels after its lock calls this before. Returns 0 or -errno.
 */
int channel_threads_start(void);

/*
 * The other side: dials the broker's socket at `path` as `self` and returns when connected, or with
 * -ETIMEDOUT after 5 s.
 * If the broker goes away the process exits at once with status 0 (redialling needs system calls
 * that a locked worker has not got, and without a broker there is nothing to do); `exit_on_close`
 * false leaves that to the caller, for programs that are not workers: channel_receive says
 * CHANNEL_CLOSED. Returns 0 or -errno.
 */
int channel_dial(struct channel **out, const char *path, enum ipc_peer self, bool exit_on_close);

/*
 * The broker's side: listens at `path`, which must not exist, for `peer`. Nobody is accepted before
 * channel_expect. When the connection comes or goes, 8 bytes are written to `wake_fd` (an eventfd).
 * Returns 0 or -errno.
 */
int channel_listen(struct channel **out, const char *path, enum ipc_peer peer, int wake_fd);

/* Accept one connection, from this process alone. Any thread. */
void channel_expect(struct channel *channel, pid_t pid, uid_t uid);

/* Whether the expected peer has connected, and whether its connection has ended. Any thread. */
bool channel_connected(const struct channel *channel);
bool channel_closed(const struct channel *channel);

/* A descriptor that polls readable when a message waits. Belongs to the channel. */
int channel_fd(const struct channel *channel);

/*
 * Sends `body` (the nanopb structure of type `number`) and `blob`. Workers wait up to 10 s for a
 * broker that is busy; the broker never waits. Returns a channel_outcome or -errno (-EINVAL: the
 * body does not encode or the blob exceeds its route).
 */
int channel_send(struct channel *channel, uint16_t number, uint32_t request, const void *body,
                 const void *blob, size_t blob_length);

/* As channel_send, with the broker's stamps in the header. */
int channel_send_stamped(struct channel *channel, uint16_t number, uint32_t request,
                         uint32_t ticket, uint32_t uid, const void *body, const void *blob,
                         size_t blob_length);

/*
 * Receives without waiting. On CHANNEL_OK the message must be given to message_free or
 * channel_forward. On CHANNEL_MALFORMED `out->envelope` is zero, `*why` says what is wrong and
 * there is nothing to free.
 */
int channel_receive(struct channel *channel, struct message *out, enum envelope_outcome *why);

/*
 * Passes a received message on, unchanged but for request number and stamps, without copying it.
 * Takes the message over on CHANNEL_OK and leaves it to the caller otherwise.
 */
int channel_forward(struct channel *to, struct message *message, uint32_t request, uint32_t ticket,
                    uint32_t uid);

/* Sends bytes as they are: for the tests, which must be able to say what no honest peer says. */
int channel_send_raw(struct channel *channel, const void *data, size_t length);

void message_free(struct message *message);

/* Closes the socket, for the broker also removes its path. Accepts NULL, returns NULL. */
struct channel *channel_free(struct channel *channel);

#endif

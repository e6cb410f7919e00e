/*
 * One agent's connection, without its transport: takes messages and the passing of time, gives
 * messages and, in the end, a reason to close (docs/wire.md, "Session"). The server (serve.h) moves
 * bytes between this and libwebsockets; tests drive it directly.
 *
 * A session belongs to the thread of its store.
 */
#ifndef CONSOLE_SESSION_H
#define CONSOLE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machines.h"
#include "proof.h"
#include "rate.h"
#include "upload.h"

#define SESSION_UPLOADS_MAX   4
#define SESSION_COMMANDS_MAX  8
#define SESSION_ENROLL_MAX    3    /* refused tokens per connection */
#define SESSION_TEXTS_PER_S   1000 /* text messages within one second */
#define SESSION_CHUNK_WINDOW  8
#define SESSION_QUEUE_MAX     64 /* unsent messages before the transport stops reading */
#define SESSION_AUTH_MS       10000
#define SESSION_UNENROLLED_MS 600000
#define SESSION_MESSAGE_MS    60000
#define SESSION_WRITE_MS      60000
#define SESSION_REASON_MAX    64

enum session_close {
    SESSION_CLOSE_GOING_AWAY = 1001,
    SESSION_CLOSE_POLICY = 1008,
    SESSION_CLOSE_INTERNAL = 1011,
    SESSION_CLOSE_AUTH = 4001,
    SESSION_CLOSE_HOST = 4002,
    SESSION_CLOSE_REVOKED = 4003,
    SESSION_CLOSE_TIMEOUT = 4004,
    SESSION_CLOSE_REPLACED = 4005,
    SESSION_CLOSE_RATE = 4006,
    SESSION_CLOSE_VERSION = 4007,
};

/* Output is made durable, and acknowledged, at the latest when so much of it is not yet: half of
 * the chunks that an agent may have unacknowledged. */
#define SESSION_UNSYNCED_CHUNKS 8
/* Agents take at most 16 MiB a second (docs/wire.md, "Closing"): no further token is sent in a
 * second in which so much was. */
#define SESSION_PACE_BYTES (6u << 20)
/* A command whose output found no room rests for so long: an agent keeps output for an hour. */
#define SESSION_HELD_MS UINT64_C(3900000)

/* Where the output of commands goes, and how much of it; outlives all sessions. */
struct session_command_env {
    int folder;            /* output_file.h */
    uint64_t output_bytes; /* kept of one command */
    uint64_t quota_bytes;  /* kept of all commands of one machine */
};

/* What all sessions share; outlives them. */
struct session_env {
    const struct upload_env *uploads;
    const char *console_name;
    const char *const *hosts; /* names that this console answers to, lower case */
    size_t host_count;
    uint32_t heartbeat_ms;
    struct rate *enroll_rate;
    /* Called when `s` has proved to be machine `id`: the server ends older sessions of it. */
    void (*authenticated)(void *context, const void *session, const uint8_t id[32]);
    void *context;
    const struct session_command_env *commands; /* NULL: the feature is not offered */
};

struct session;

/*
 * Begins a session and queues its challenge. `address` is the peer's, for logs and limits;
 * `exporter` the channel binding of its TLS connection, from this end. 0 or -ENOMEM.
 */
int session_new(struct session **out, const struct session_env *env, const char *address,
                const uint8_t exporter[PROOF_EXPORTER_BYTES], uint64_t mono_ms);

/* Ends a session; what it uploaded stays resumable. NULL is accepted; returns NULL. */
struct session *session_free(struct session *s);

/* The most bytes that a message may have now; 0 when none of this kind is welcome. */
size_t session_limit(const struct session *s, bool binary);

/* Takes one whole message. */
void session_text(struct session *s, const char *data, size_t length, uint64_t mono_ms);
void session_binary(struct session *s, const uint8_t *data, size_t length, uint64_t mono_ms);

/* Bytes arrived (part of a message, a ping): the peer lives. `partial` while a message is not
 * complete. */
void session_alive(struct session *s, bool partial, uint64_t mono_ms);

/* Checks every time-out; to be called about once a second. */
void session_tick(struct session *s, uint64_t mono_ms);

/* Reads the machine's state anew, after somebody else changed the database. */
void session_refresh(struct session *s);

/* Whether output was written that is neither durable nor acknowledged yet. */
bool session_unsynced(const struct session *s);

/* Makes it durable and acknowledges it: to be called once no more input waits. */
void session_sync(struct session *s);

/* Asks for a close for a reason outside the session. The first reason given stands. */
void session_close(struct session *s, enum session_close code, const char *word);

/*
 * The next message to send: a terminated JSON text, or session_next_length bytes of a binary
 * message, which live until session_sent; NULL if none.
 */
const char *session_next(const struct session *s);

/* The length of session_next's message without a terminator, and whether it is binary; 0 if there
 * is none. */
size_t session_next_length(const struct session *s, bool *binary);

/* The message of session_next was handed to the transport. */
void session_sent(struct session *s, uint64_t mono_ms);

/* Whether the transport must not read now, because the peer does not take its answers. */
bool session_congested(const struct session *s);

/*
 * 0 while the session goes on, else the close code, with the reason, a terminated word, in
 * `reason`. Messages still queued are to be sent first, if the peer takes them.
 */
int session_closing(const struct session *s, const char **reason);

/* Whether the peer is nobody that this console knows: not authenticated, or not enrolled. */
bool session_stranger(const struct session *s);

/* Whether the peer has proved which machine it is; if so its id (32 bytes) is written. */
bool session_machine(const struct session *s, uint8_t id[32]);

#endif

/* What session.c and session_*.c share. Nobody else includes this. */
#ifndef CONSOLE_SESSION_INTERNAL_H
#define CONSOLE_SESSION_INTERNAL_H

#include <jansson.h>

#include "frame.h"
#include "message.h"
#include "queue.h"
#include "session.h"

enum session_stage {
    STAGE_CHALLENGED,
    STAGE_UNENROLLED,
    STAGE_PENDING,
    STAGE_APPROVED,
};

struct session_output {
    struct session_output *next;
    bool is_ack; /* a `chunk` or `command_ack` for `id`: a later one replaces it */
    uint8_t id[16];
    bool binary;
    size_t length;
    char *data; /* a terminated text of jansson's allocator, or bytes */
};

enum command_phase {
    COMMAND_NONE,    /* the slot is free */
    COMMAND_HELD,    /* was sent on an earlier connection; there is no room for its output */
    COMMAND_QUERIED, /* command_query was sent */
    COMMAND_SENT,    /* its token was */
    COMMAND_RUNNING, /* it was accepted */
};

/* A command that is open, or held. */
struct session_command {
    enum command_phase phase;
    int64_t row;
    uint8_t token[16];
    struct output_place noted; /* what the database knows */
    struct output_file file;   /* fd -1 until there is something to write */
    uint32_t acked[2];
    bool may_skip[2];       /* the next chunk of the stream may leave some out */
    uint64_t held_until_ms; /* wall time */
};

struct session {
    const struct session_env *env;
    enum session_stage stage;
    char address[RATE_ADDRESS_MAX];
    uint8_t exporter[PROOF_EXPORTER_BYTES];
    uint8_t challenge[PROOF_CHALLENGE_BYTES];
    struct machine machine; /* id, key and what the agent said of itself, once authenticated */
    unsigned enroll_refused;
    struct upload *uploads[SESSION_UPLOADS_MAX];
    bool has_commands; /* the feature is common to both */
    struct session_command commands[SESSION_COMMANDS_MAX];
    uint64_t stored;        /* bytes of output of this machine's commands */
    unsigned unsynced;      /* chunks written and not acknowledged */
    uint64_t pace_since_ms; /* monotonic: the second in which pace_bytes of tokens were sent */
    size_t pace_bytes;
    bool paced; /* tokens wait for the next second */

    struct session_output *first, **last;
    unsigned queued;
    int close_code;
    char close_reason[SESSION_REASON_MAX];

    /* Monotonic milliseconds; 0 is "not running". */
    uint64_t stage_since_ms, heard_ms, partial_since_ms, unsent_since_ms, second_ms;
    unsigned texts_in_second;
};

/* Queues `object`, whose reference is taken over; NULL ends the session as an internal failure. */
void session_say(struct session *s, json_t *object);

/* Queues an acknowledgement for the upload or command `id`. One that was not sent yet is replaced
 * by its successor: they are cumulative. */
void session_say_ack(struct session *s, const uint8_t id[16], json_t *object);

/* Queues a binary frame. */
void session_say_frame(struct session *s, enum frame_kind kind, const uint8_t id[16],
                       const void *content, size_t length);

/* Queues an `error`; ticket may be NULL, retry_after_ms 0 leaves it out. */
void session_refuse(struct session *s, const char *code, const char *message, const uint8_t *ticket,
                    uint32_t retry_after_ms);

/* Ends the session because the peer broke the protocol: 1008 with `word`, `detail` goes to the
 * log. */
void session_violation(struct session *s, const char *word, const char *detail);

/* Writes 2 * length lower-case digits and a terminator. Returns out. */
char *session_hex(char *out, const uint8_t *data, size_t length);

/* Moves to another stage; its time-out begins. */
void session_set_stage(struct session *s, enum session_stage stage, uint64_t mono_ms);

/* The stage's word on the wire. */
const char *session_stage_word(enum session_stage stage);

/* Handlers of session_identity.c: `authenticate` in STAGE_CHALLENGED, `enroll` in any later one. */
void session_authenticate(struct session *s, const struct message_authenticate *a,
                          uint64_t mono_ms);
void session_enroll(struct session *s, const struct message_enroll *e, uint64_t mono_ms);

/* Writes the stage that the database gives the authenticated machine, and closes the session if it
 * is revoked. 0, MACHINES_UNKNOWN (STAGE_UNENROLLED is written), or -errno. */
int session_look_up(struct session *s, enum session_stage *stage);

/* Handlers of session_bundle.c, for sessions in STAGE_APPROVED. */
void session_bundle_begin(struct session *s, const struct message_bundle_begin *begin);
void session_bundle_abort(struct session *s, const struct message_bundle_abort *abort);
void session_bundle_frame(struct session *s, const struct frame *frame);
void session_bundle_drop_all(struct session *s);

/*
 * session_commands.c, for sessions in STAGE_APPROVED that have the feature. Begin: asks for what
 * was sent on earlier connections, then sends tokens. Refresh: the database changed, or time
 * passed.
 */
void session_commands_begin(struct session *s);
void session_commands_refresh(struct session *s);
void session_commands_tick(struct session *s);
void session_command_message(struct session *s, enum message_type type,
                             const struct message_command *m);

/* The slot of `token`, or, with NULL, a free one; NULL if there is none. */
struct session_command *session_command_find(struct session *s, const uint8_t *token);

/* Counts anew what is stored of this machine's commands: meanwhile that is only added to. 0 or
 * -errno. */
int session_commands_count(struct session *s);

/* Ends the session because the database failed (-errno), or lacks a command (positive). */
void session_commands_failed(struct session *s, int result);

/*
 * session_output.c: what commands write. Leave: the slot is free from now on. Drop all: all slots
 * are; what was written is made durable and noted, so that it can be gone on with.
 */
void session_command_frame(struct session *s, const struct frame *frame);
void session_command_leave(struct session_command *c);
void session_commands_drop_all(struct session *s);

#endif

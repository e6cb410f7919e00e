/* What session.c and session_bundle.c share. Nobody else includes this. */
#ifndef CONSOLE_SESSION_INTERNAL_H
#define CONSOLE_SESSION_INTERNAL_H

#include <jansson.h>

#include "frame.h"
#include "message.h"
#include "session.h"

enum session_stage {
    STAGE_CHALLENGED,
    STAGE_UNENROLLED,
    STAGE_PENDING,
    STAGE_APPROVED,
};

struct session_output {
    struct session_output *next;
    bool is_ack; /* a `chunk` for `ticket`: a later one replaces it */
    uint8_t ticket[16];
    char *text; /* from jansson's allocator */
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

#endif

/*
 * The conversation with the console (docs/wire.md): sign-in, state, enrolment, through upload.h the
 * bundles, and through commands.h the signed commands. It knows which message is allowed when and
 * closes on every other; it sends through callbacks and never touches the network itself.
 *
 *   challenge -> [the vault signs] -> authenticate -> welcome -> unenrolled, pending or approved
 *
 * Times are monotonic milliseconds that the caller supplies. One thread at a time.
 */
#ifndef CLOISTER_UPLINK_SESSION_H
#define CLOISTER_UPLINK_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "commands.h"
#include "fault.h"
#include "upload.h"
#include "wire.h"

#define SESSION_SIGN_IN_MS 20000 /* for each of: the challenge, the signature, the welcome */
#define SESSION_ENROLL_MS  60000

struct session;

/* All texts must outlive the session. */
struct session_config {
    const char *host; /* as configured: ASCII, lower case, no final dot */
    const char *agent_version;
    const char *boot_id;
    /* Whom commands go to, with its user. NULL: the feature is not taken when it is offered. */
    const struct commands_agent *agent;
    void *agent_user;
};

struct session_callbacks {
    struct upload_callbacks upload; /* send_text and send_binary serve the whole session */
    /* End the connection with this status and reason word. */
    void (*close)(void *user, uint16_t status, const char *word);
    /* Have the vault sign this challenge (32 bytes); session_signed continues. */
    void (*sign)(void *user, const uint8_t *challenge);
    /*
     * The machine's state at the console is known or has changed. `welcome` is the message for the
     * first time and NULL afterwards.
     */
    void (*state)(void *user, enum wire_state state, const struct wire_message *welcome);
    /* The answer to session_enroll; `detail` is for people and may be hostile. */
    void (*enrolled)(void *user, bool accepted, const char *detail);
};

enum session_outcome {
    SESSION_NOT_NOW = 1,      /* not signed in, or another enrolment is under way */
    SESSION_ALREADY_ENROLLED, /* the console knows this machine */
    SESSION_BAD_TOKEN,        /* not 16 to 128 printable characters */
};

/* Begins to wait for the challenge. Returns 0 or -ENOMEM. */
int session_new(struct session **out, const struct session_config *config,
                const struct session_callbacks *callbacks, void *user, int64_t now_ms);
struct session *session_free(struct session *session);

/*
 * Takes in a text message of the console. Returns true, or false with `fault` set after having
 * called `close`: the connection is to be ended.
 */
bool session_receive(struct session *session, const char *text, size_t length, int64_t now_ms,
                     struct fault *fault);

/* Likewise a binary message. */
bool session_receive_binary(struct session *session, const void *bytes, size_t length,
                            int64_t now_ms, struct fault *fault);

/*
 * The vault has signed: sends `authenticate`, whose host, agent_version and boot_id are filled in
 * here. Returns 0, SESSION_NOT_NOW when no signature was asked for, or -errno.
 */
int session_signed(struct session *session, struct wire_authenticate *authenticate, int64_t now_ms);

/*
 * Enrols this machine; `enrolled` tells the end. `name` and `os` (may be NULL) are for people.
 * Returns 0, a session_outcome, or -errno. The token is not kept.
 */
int session_enroll(struct session *session, const char *token, const char *name, const char *os,
                   int64_t now_ms);

/* Whether the welcome has come; from then on session_state is meaningful. */
bool session_is_open(const struct session *session);
enum wire_state session_state(const struct session *session);

/* The session's bundles. uploads_begin is only for the state WIRE_APPROVED; the caller sees to it.
 */
struct uploads *session_uploads(struct session *session);

/* The session's commands, or NULL if the feature is not common to both (and before sign-in). */
struct commands *session_commands(struct session *session);

/* As uploads_deadline_ms and uploads_tick, for the whole session. */
int64_t session_deadline_ms(const struct session *session);
bool session_tick(struct session *session, int64_t now_ms, struct fault *fault);

/* What a close frame of the console means (section "Closing"). Sets `fault`. */
void session_judge_close(uint16_t status, const char *reason, struct fault *fault);

#endif

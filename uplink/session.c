#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CLOSE_POLICY  1008
#define CLOSE_VERSION 4007
#define NEVER         INT64_MAX

enum stage {
    STAGE_CHALLENGE, /* the console has not spoken yet */
    STAGE_SIGNING,   /* the vault is asked */
    STAGE_WELCOME,   /* authenticate is sent */
    STAGE_OPEN,
};

struct session {
    struct session_config config;
    const struct session_callbacks *callbacks;
    void *user;
    struct uploads *uploads;
    struct commands *commands; /* NULL: the feature is not common to both */
    struct commands_callbacks network;
    bool commands_first; /* whose turn it is when the network has room */
    enum stage stage;
    enum wire_state state;
    bool enrolling;
    int64_t deadline_ms; /* of the stage */
    int64_t enroll_deadline_ms;
};

int session_new(struct session **out, const struct session_config *config,
                const struct session_callbacks *callbacks, void *user, int64_t now_ms)
{
    struct session *session = calloc(1, sizeof *session);

    if (!session)
        return -ENOMEM;
    session->config = *config;
    session->callbacks = callbacks;
    session->network = (struct commands_callbacks){
        callbacks->upload.send_text, callbacks->upload.send_binary, callbacks->upload.queued};
    session->user = user;
    session->stage = STAGE_CHALLENGE;
    session->deadline_ms = now_ms + SESSION_SIGN_IN_MS;
    session->enroll_deadline_ms = NEVER;
    if (uploads_new(&session->uploads, &callbacks->upload, user) < 0) {
        free(session);
        return -ENOMEM;
    }
    *out = session;
    return 0;
}

struct session *session_free(struct session *session)
{
    if (session) {
        uploads_free(session->uploads);
        commands_free(session->commands);
        free(session);
    }
    return NULL;
}

static bool send_text(struct session *session, char *text)
{
    int rc = -ENOMEM;

    if (text)
        rc = session->callbacks->upload.send_text(session->user, text, strlen(text));
    free(text);
    return rc == 0;
}

static bool refuse(struct session *session, const char *word, const char *what, struct fault *fault)
{
    fault_set(fault, FAULT_PROTOCOL, "the console's message is refused: %s%s%s", word,
              what[0] ? ": " : "", what);
    session->callbacks->close(session->user, CLOSE_POLICY, word);
    return false;
}

static bool on_challenge(struct session *session, const struct wire_message *message,
                         int64_t now_ms, struct fault *fault)
{
    if (session->stage != STAGE_CHALLENGE)
        return refuse(session, "order", "a second challenge", fault);
    if (message->protocol < WIRE_PROTOCOL) {
        fault_set(fault, FAULT_DENIED, "the console speaks protocol %u at most, this agent %u",
                  message->protocol, WIRE_PROTOCOL);
        session->callbacks->close(session->user, CLOSE_VERSION, "version");
        return false;
    }
    if (message->commands && session->config.agent &&
        commands_new(&session->commands, &session->network, session->user, session->config.agent,
                     session->config.agent_user) < 0) {
        fault_set(fault, FAULT_LOCAL, "out of memory");
        return false;
    }
    session->stage = STAGE_SIGNING;
    session->deadline_ms = now_ms + SESSION_SIGN_IN_MS;
    session->callbacks->sign(session->user, message->challenge);
    return true;
}

static bool on_welcome(struct session *session, const struct wire_message *message,
                       struct fault *fault)
{
    if (session->stage != STAGE_WELCOME)
        return refuse(session, "order", "a welcome that was not earned", fault);
    session->stage = STAGE_OPEN;
    session->deadline_ms = NEVER;
    session->state = message->state;
    uploads_limits(session->uploads, message->chunk_window, message->max_bundle_bytes);
    session->callbacks->state(session->user, message->state, message);
    return true;
}

static void enroll_ended(struct session *session, bool accepted, const char *detail)
{
    session->enrolling = false;
    session->enroll_deadline_ms = NEVER;
    session->callbacks->enrolled(session->user, accepted, detail);
}

static bool on_enrolled(struct session *session, const struct wire_message *message,
                        struct fault *fault)
{
    if (!session->enrolling)
        return refuse(session, "order", "enrolled without having been asked", fault);
    session->state = message->state;
    session->callbacks->state(session->user, message->state, NULL);
    enroll_ended(session, true, wire_state_name(message->state));
    return true;
}

static bool on_state(struct session *session, const struct wire_message *message)
{
    session->state = message->state;
    if (message->state == WIRE_PENDING)
        uploads_forget(session->uploads);
    if (message->state == WIRE_PENDING && session->commands)
        commands_forget(session->commands);
    session->callbacks->state(session->user, message->state, NULL);
    return true;
}

static bool on_bundle(struct session *session, const struct wire_message *message, int64_t now_ms,
                      struct fault *fault)
{
    int rc = uploads_receive(session->uploads, message, now_ms);

    if (rc > 0)
        return refuse(session, "order", "about a bundle that does not expect it", fault);
    if (rc < 0)
        fault_set(fault, FAULT_LOCAL, "a bundle: %s", strerror(-rc));
    return rc == 0;
}

/* Takes what commands_token and commands_receive returned. */
static bool judge_command(struct session *session, int rc, struct fault *fault)
{
    if (rc == COMMANDS_MALFORMED)
        return refuse(session, "malformed", "a token", fault);
    if (rc > 0)
        return refuse(session, "order", "about a command that does not expect it", fault);
    if (rc < 0)
        fault_set(fault, FAULT_LOCAL, "a command: %s", strerror(-rc));
    return rc == 0;
}

static bool on_command(struct session *session, const struct wire_message *message, int64_t now_ms,
                       struct fault *fault)
{
    if (session->state != WIRE_APPROVED)
        return refuse(session, "order", "about a command without approval", fault);
    return judge_command(session, commands_receive(session->commands, message, now_ms), fault);
}

/* An error with a ticket is a bundle's; without one it can only answer an enrolment. */
static bool on_error(struct session *session, const struct wire_message *message, int64_t now_ms,
                     struct fault *fault)
{
    struct fault detail;

    if (message->has_ticket)
        return on_bundle(session, message, now_ms, fault);
    if (!session->enrolling)
        return refuse(session, "order", "an error that answers nothing", fault);
    fault_clear(&detail);
    fault_set(&detail, FAULT_DENIED, "%s%s%s", message->code, message->text[0] ? ": " : "",
              message->text);
    enroll_ended(session, false, detail.detail);
    return true;
}

static bool dispatch(struct session *session, const struct wire_message *message, int64_t now_ms,
                     struct fault *fault)
{
    if (message->type == WIRE_CHALLENGE)
        return on_challenge(session, message, now_ms, fault);
    if (message->type == WIRE_WELCOME)
        return on_welcome(session, message, fault);
    if (session->stage != STAGE_OPEN)
        return refuse(session, "order", "before the welcome", fault);
    switch (message->type) {
    case WIRE_ENROLLED:
        return on_enrolled(session, message, fault);
    case WIRE_STATE:
        return on_state(session, message);
    case WIRE_ERROR:
        return on_error(session, message, now_ms, fault);
    case WIRE_COMMAND_ACK:
    case WIRE_COMMAND_DONE:
    case WIRE_COMMAND_QUERY:
        return on_command(session, message, now_ms, fault);
    default:
        return on_bundle(session, message, now_ms, fault);
    }
}

bool session_receive(struct session *session, const char *text, size_t length, int64_t now_ms,
                     struct fault *fault)
{
    struct wire_message message;

    switch (wire_read(&message, text, length, session->commands != NULL)) {
    case 0:
        return dispatch(session, &message, now_ms, fault);
    case WIRE_UNKNOWN_TYPE:
        return refuse(session, "unknown_type", "", fault);
    default:
        return refuse(session, "malformed", "", fault);
    }
}

bool session_receive_binary(struct session *session, const void *bytes, size_t length,
                            int64_t now_ms, struct fault *fault)
{
    struct wire_frame frame;

    if (wire_read_frame(&frame, bytes, length) != 0 || frame.kind != WIRE_KIND_TOKEN)
        return refuse(session, "malformed", "a binary message that consoles never send", fault);
    if (!session->commands)
        return refuse(session, "unknown_type", "a token without the feature", fault);
    if (session->stage != STAGE_OPEN || session->state != WIRE_APPROVED)
        return refuse(session, "order", "a token without approval", fault);
    return judge_command(session, commands_token(session->commands, &frame, now_ms), fault);
}

int session_signed(struct session *session, struct wire_authenticate *authenticate, int64_t now_ms)
{
    if (session->stage != STAGE_SIGNING)
        return SESSION_NOT_NOW;
    authenticate->host = session->config.host;
    authenticate->agent_version = session->config.agent_version;
    authenticate->boot_id = session->config.boot_id;
    authenticate->commands = session->commands != NULL;
    if (!send_text(session, wire_write_authenticate(authenticate)))
        return -ENOMEM;
    session->stage = STAGE_WELCOME;
    session->deadline_ms = now_ms + SESSION_SIGN_IN_MS;
    return 0;
}

static bool is_token(const char *token)
{
    size_t length = strlen(token);

    for (size_t i = 0; i < length; i++)
        if (token[i] <= 0x20 || token[i] > 0x7e)
            return false;
    return length >= 16 && length <= 128;
}

int session_enroll(struct session *session, const char *token, const char *name, const char *os,
                   int64_t now_ms)
{
    char *text;

    if (session->stage != STAGE_OPEN || session->enrolling)
        return SESSION_NOT_NOW;
    if (session->state != WIRE_UNENROLLED)
        return SESSION_ALREADY_ENROLLED;
    if (!is_token(token))
        return SESSION_BAD_TOKEN;
    text = wire_write_enroll(token, name, os);
    if (!text)
        return -ENOMEM;
    if (session->callbacks->upload.send_text(session->user, text, strlen(text)) < 0) {
        free(text);
        return -EPIPE;
    }
    explicit_bzero(text, strlen(text));
    free(text);
    session->enrolling = true;
    session->enroll_deadline_ms = now_ms + SESSION_ENROLL_MS;
    return 0;
}

bool session_is_open(const struct session *session)
{
    return session->stage == STAGE_OPEN;
}

enum wire_state session_state(const struct session *session)
{
    return session->state;
}

struct uploads *session_uploads(struct session *session)
{
    return session->uploads;
}

struct commands *session_commands(struct session *session)
{
    return session->commands;
}

int64_t session_deadline_ms(const struct session *session)
{
    int64_t deadline = uploads_deadline_ms(session->uploads);

    if (session->commands && commands_deadline_ms(session->commands) < deadline)
        deadline = commands_deadline_ms(session->commands);

    if (session->deadline_ms < deadline)
        deadline = session->deadline_ms;
    return session->enroll_deadline_ms < deadline ? session->enroll_deadline_ms : deadline;
}

/* Bundles and output have the same right to the room that the network has. */
static bool tick_both(struct session *session, int64_t now_ms, struct fault *fault)
{
    struct commands *commands = session->commands;
    bool first = session->commands_first;

    session->commands_first = !first;
    if (!commands)
        return uploads_tick(session->uploads, now_ms, fault);
    if (first)
        return commands_tick(commands, now_ms, fault) &&
               uploads_tick(session->uploads, now_ms, fault);
    return uploads_tick(session->uploads, now_ms, fault) && commands_tick(commands, now_ms, fault);
}

bool session_tick(struct session *session, int64_t now_ms, struct fault *fault)
{
    static const char *const awaited[] = {
        [STAGE_CHALLENGE] = "the console sent no challenge",
        [STAGE_SIGNING] = "the vault did not sign",
        [STAGE_WELCOME] = "the console did not answer the sign-in",
        [STAGE_OPEN] = "nothing",
    };

    if (now_ms >= session->deadline_ms)
        fault_set(fault, session->stage == STAGE_SIGNING ? FAULT_VAULT : FAULT_PHASE_TIMEOUT,
                  "%s within %d s", awaited[session->stage], SESSION_SIGN_IN_MS / 1000);
    else if (now_ms >= session->enroll_deadline_ms)
        fault_set(fault, FAULT_PHASE_TIMEOUT, "the console did not answer the enrolment");
    return fault->reason == FAULT_NONE && tick_both(session, now_ms, fault);
}

void session_judge_close(uint16_t status, const char *reason, struct fault *fault)
{
    static const struct {
        uint16_t status;
        enum fault_reason reason;
        const char *text;
    } meanings[] = {
        {1008, FAULT_PROTOCOL, "the console refuses what this agent said"},
        {4001, FAULT_DENIED,
         "the console refuses the signature: interception, or a console set up wrongly"},
        {4002, FAULT_DENIED, "the console does not answer to this host name"},
        {4003, FAULT_REVOKED, "the console has revoked this machine"},
        {4005, FAULT_REPLACED, "a newer connection of this machine took over"},
        {4006, FAULT_RATE_LIMITED, "the console asks for fewer connections"},
        {4007, FAULT_DENIED, "the console speaks another protocol version"},
    };

    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (meanings[i].status == status)
            fault_set(fault, meanings[i].reason, "%s (%u %.80s)", meanings[i].text, status, reason);
    fault_set(fault, FAULT_CLOSED, "the console closed the connection (%u %.80s)", status, reason);
}

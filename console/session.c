#include "session_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base64url.h"
#include "clocks.h"
#include "log.h"

char *session_hex(char *out, const uint8_t *data, size_t length)
{
    return sodium_bin2hex(out, 2 * length + 1, data, length);
}

void session_close(struct session *s, enum session_close code, const char *word)
{
    if (s->close_code)
        return;
    s->close_code = (int)code;
    snprintf(s->close_reason, sizeof(s->close_reason), "%s", word);
    session_bundle_drop_all(s);
    session_commands_drop_all(s);
}

void session_violation(struct session *s, const char *word, const char *detail)
{
    log_warning("%s: broke the protocol: %s (%s)", s->address, word, detail ? detail : "");
    session_close(s, SESSION_CLOSE_POLICY, word);
}

/* `data`, of malloc's or jansson's allocator (they are the same), is taken over; NULL ends the
 * session as an internal failure. */
static void put(struct session *s, char *data, size_t length, bool binary)
{
    struct session_output *o = data ? calloc(1, sizeof(*o)) : NULL;
    if (!o) {
        free(data);
        session_close(s, SESSION_CLOSE_INTERNAL, "internal");
        return;
    }
    o->data = data;
    o->length = length;
    o->binary = binary;
    *s->last = o;
    s->last = &o->next;
    s->queued++;
}

void session_say(struct session *s, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    put(s, text, text ? strlen(text) : 0, false);
}

void session_say_ack(struct session *s, const uint8_t id[16], json_t *object)
{
    struct session_output *last = NULL;
    for (struct session_output *o = s->first; o; o = o->next)
        last = o;
    if (last && last->is_ack && memcmp(last->id, id, sizeof(last->id)) == 0) {
        char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
        json_decref(object);
        if (!text)
            return; /* the older one still holds, and the next may follow */
        free(last->data);
        last->data = text;
        last->length = strlen(text);
        return;
    }
    struct session_output **slot = s->last;
    session_say(s, object);
    if (*slot) {
        (*slot)->is_ack = true;
        memcpy((*slot)->id, id, sizeof((*slot)->id));
    }
}

void session_say_frame(struct session *s, enum frame_kind kind, const uint8_t id[16],
                       const void *content, size_t length)
{
    char *data = malloc(FRAME_HEADER_BYTES + length);
    if (data) {
        frame_header((uint8_t *)data, kind, id, 0);
        memcpy(data + FRAME_HEADER_BYTES, content, length);
    }
    put(s, data, FRAME_HEADER_BYTES + length, true);
}

void session_refuse(struct session *s, const char *code, const char *message, const uint8_t *ticket,
                    uint32_t retry_after_ms)
{
    char hex[33];
    json_t *o = json_pack("{s:s, s:s, s:s}", "type", "error", "code", code, "message", message);
    if (o && ticket)
        json_object_set_new(o, "ticket", json_string(session_hex(hex, ticket, 16)));
    if (o && retry_after_ms)
        json_object_set_new(o, "retry_after_ms", json_integer(retry_after_ms));
    session_say(s, o);
}

void session_set_stage(struct session *s, enum session_stage stage, uint64_t mono_ms)
{
    s->stage = stage;
    s->stage_since_ms = mono_ms;
}

const char *session_stage_word(enum session_stage stage)
{
    static const char *const words[] = {"unauthenticated", "unenrolled", "pending", "approved"};
    return words[stage];
}

static void say_challenge(struct session *s)
{
    char text[BASE64URL_SIZE(sizeof(s->challenge))];
    base64url_encode(text, s->challenge, sizeof(s->challenge));
    json_t *o = json_pack("{s:s, s:i, s:s, s:s}", "type", "challenge", "protocol", MESSAGE_PROTOCOL,
                          "challenge", text, "console", s->env->console_name);
    if (o && s->env->commands)
        json_object_set_new(o, "features", json_pack("[s]", "commands"));
    session_say(s, o);
}

int session_new(struct session **out, const struct session_env *env, const char *address,
                const uint8_t exporter[PROOF_EXPORTER_BYTES], uint64_t mono_ms)
{
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->env = env;
    s->last = &s->first;
    snprintf(s->address, sizeof(s->address), "%s", address);
    memcpy(s->exporter, exporter, sizeof(s->exporter));
    randombytes_buf(s->challenge, sizeof(s->challenge));
    session_set_stage(s, STAGE_CHALLENGED, mono_ms);
    s->heard_ms = mono_ms;
    say_challenge(s);
    *out = s;
    return 0;
}

struct session *session_free(struct session *s)
{
    if (!s)
        return NULL;
    session_bundle_drop_all(s);
    session_commands_drop_all(s);
    if (s->stage != STAGE_CHALLENGED && s->close_code != SESSION_CLOSE_REPLACED)
        machines_seen(s->env->uploads->store, s->machine.id, NULL, clocks_wall_ms());
    while (s->first) {
        struct session_output *next = s->first->next;
        free(s->first->data);
        free(s->first);
        s->first = next;
    }
    sodium_memzero(s, sizeof(*s));
    free(s);
    return NULL;
}

static void take_command(struct session *s, const struct message *m)
{
    if (!s->has_commands) {
        session_violation(s, "unknown_type", "of a feature that is not common");
        return;
    }
    if (s->stage != STAGE_APPROVED) {
        session_violation(s, "order", "command message from a machine that is not approved");
        return;
    }
    session_command_message(s, m->type, &m->command);
    /* It answered something of ours, so it is no flood. ("busy" answers nothing yet.) */
    if (s->texts_in_second > 0 && strcmp(m->command.reason, "busy") != 0)
        s->texts_in_second--;
}

static void dispatch(struct session *s, struct message *m, uint64_t mono_ms)
{
    if ((m->type == MESSAGE_AUTHENTICATE) != (s->stage == STAGE_CHALLENGED)) {
        session_violation(s, "order", "authenticate comes first, and once");
        return;
    }
    switch (m->type) {
    case MESSAGE_AUTHENTICATE:
        session_authenticate(s, &m->authenticate, mono_ms);
        break;
    case MESSAGE_ENROLL:
        session_enroll(s, &m->enroll, mono_ms);
        break;
    case MESSAGE_BUNDLE_BEGIN:
        session_bundle_begin(s, &m->begin);
        break;
    case MESSAGE_BUNDLE_ABORT:
        session_bundle_abort(s, &m->abort);
        break;
    default:
        take_command(s, m);
    }
}

static bool flooding(struct session *s, uint64_t mono_ms)
{
    if (mono_ms - s->second_ms >= 1000) {
        s->second_ms = mono_ms;
        s->texts_in_second = 0;
    }
    return ++s->texts_in_second > SESSION_TEXTS_PER_S;
}

void session_text(struct session *s, const char *data, size_t length, uint64_t mono_ms)
{
    struct message m;
    const char *why = NULL;
    if (s->close_code)
        return;
    if (flooding(s, mono_ms)) {
        session_violation(s, "flood", "too many messages");
        return;
    }
    int result = message_parse(&m, data, length, &why);
    if (result == 0)
        dispatch(s, &m, mono_ms);
    else if (result == MESSAGE_UNKNOWN_TYPE)
        session_violation(s, "unknown_type", why);
    else if (result == MESSAGE_MALFORMED)
        session_violation(s, "malformed", why);
    else
        session_close(s, SESSION_CLOSE_INTERNAL, "internal");
    sodium_memzero(&m, sizeof(m)); /* an enrolment token was in it, perhaps */
}

void session_binary(struct session *s, const uint8_t *data, size_t length, uint64_t mono_ms)
{
    struct frame frame;
    (void)mono_ms;
    if (s->close_code)
        return;
    if (s->stage != STAGE_APPROVED)
        session_violation(s, "order", "binary frame from a machine that is not approved");
    else if (frame_parse(&frame, data, length))
        session_violation(s, "malformed", "binary frame");
    else if (frame.kind == FRAME_CHUNK || frame.kind == FRAME_DIGESTS)
        session_bundle_frame(s, &frame);
    else if (s->has_commands)
        session_command_frame(s, &frame);
    else
        session_violation(s, "malformed", "binary frame of a feature that is not common");
}

size_t session_limit(const struct session *s, bool binary)
{
    if (!binary)
        return MESSAGE_TEXT_MAX;
    return s->stage == STAGE_APPROVED ? FRAME_MAX : 0;
}

void session_alive(struct session *s, bool partial, uint64_t mono_ms)
{
    s->heard_ms = mono_ms;
    if (!partial)
        s->partial_since_ms = 0;
    else if (!s->partial_since_ms)
        s->partial_since_ms = mono_ms;
}

static bool over(uint64_t since_ms, uint64_t limit_ms, uint64_t mono_ms)
{
    return since_ms != 0 && mono_ms - since_ms > limit_ms;
}

void session_tick(struct session *s, uint64_t mono_ms)
{
    const char *what = NULL;
    uint64_t silence_ms = (uint64_t)s->env->heartbeat_ms * 2 + 10000;
    if (s->close_code)
        return;
    if (s->queued && !s->unsent_since_ms)
        s->unsent_since_ms = mono_ms;
    if (s->stage == STAGE_CHALLENGED && over(s->stage_since_ms, SESSION_AUTH_MS, mono_ms))
        what = "no authentication";
    else if (s->stage == STAGE_UNENROLLED &&
             over(s->stage_since_ms, SESSION_UNENROLLED_MS, mono_ms))
        what = "no enrolment";
    else if (over(s->partial_since_ms, SESSION_MESSAGE_MS, mono_ms))
        what = "message not finished";
    else if (over(s->unsent_since_ms, SESSION_WRITE_MS, mono_ms))
        what = "peer does not read";
    else if (s->stage != STAGE_CHALLENGED && over(s->heard_ms, silence_ms, mono_ms))
        what = "silent";
    if (what) {
        log_notice("%s: timed out: %s", s->address, what);
        session_close(s, SESSION_CLOSE_TIMEOUT, "timeout");
    }
    session_sync(s);
    session_commands_tick(s);
}

void session_refresh(struct session *s)
{
    enum session_stage stage;
    if (s->close_code || s->stage == STAGE_CHALLENGED)
        return;
    int result = session_look_up(s, &stage);
    if (s->close_code || result < 0)
        return;
    if (stage == s->stage) {
        session_commands_refresh(s);
        return;
    }
    if (stage != STAGE_APPROVED) {
        session_bundle_drop_all(s);
        session_commands_drop_all(s);
    }
    s->stage = stage;
    session_say(s, json_pack("{s:s, s:s}", "type", "state", "state", session_stage_word(stage)));
    session_commands_begin(s);
}

const char *session_next(const struct session *s)
{
    return s->first ? s->first->data : NULL;
}

size_t session_next_length(const struct session *s, bool *binary)
{
    *binary = s->first && s->first->binary;
    return s->first ? s->first->length : 0;
}

void session_sent(struct session *s, uint64_t mono_ms)
{
    struct session_output *o = s->first;
    s->first = o->next;
    if (!s->first)
        s->last = &s->first;
    s->queued--;
    s->unsent_since_ms = s->queued ? mono_ms : 0;
    free(o->data);
    free(o);
}

bool session_congested(const struct session *s)
{
    return s->queued >= SESSION_QUEUE_MAX;
}

int session_closing(const struct session *s, const char **reason)
{
    *reason = s->close_reason;
    return s->close_code;
}

bool session_stranger(const struct session *s)
{
    return s->stage == STAGE_CHALLENGED || s->stage == STAGE_UNENROLLED;
}

bool session_machine(const struct session *s, uint8_t id[32])
{
    if (s->stage == STAGE_CHALLENGED)
        return false;
    memcpy(id, s->machine.id, 32);
    return true;
}

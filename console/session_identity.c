#include "session_internal.h"

#include <stdio.h>
#include <string.h>

#include "clocks.h"
#include "log.h"

static bool host_is_ours(const struct session_env *env, const char *host)
{
    for (size_t i = 0; i < env->host_count; i++) {
        if (strcmp(env->hosts[i], host) == 0)
            return true;
    }
    return false;
}

static void copy_claims(struct machine *m, const struct message_authenticate *a,
                        const char *address)
{
    memcpy(m->id, a->machine_id, sizeof(m->id));
    memcpy(m->public_key, a->public_key, sizeof(m->public_key));
    snprintf(m->agent_version, sizeof(m->agent_version), "%s", a->agent_version);
    snprintf(m->boot_id, sizeof(m->boot_id), "%s", a->boot_id);
    snprintf(m->address, sizeof(m->address), "%s", address);
    m->has_previous = a->reason != MESSAGE_REASON_NONE;
    memcpy(m->previous, a->previous_id, sizeof(m->previous));
    snprintf(m->reason, sizeof(m->reason), "%s", message_reason_word(a->reason));
}

/* The checks in the order of docs/wire.md. */
static bool check_identity(struct session *s, const struct message_authenticate *a)
{
    uint8_t id[32];
    proof_machine_id(id, a->public_key);
    if (a->protocol != MESSAGE_PROTOCOL) {
        session_close(s, SESSION_CLOSE_VERSION, "version");
    } else if (memcmp(id, a->machine_id, sizeof(id)) != 0) {
        session_close(s, SESSION_CLOSE_AUTH, "auth_failed");
    } else if (!host_is_ours(s->env, a->host)) {
        log_warning("%s: dialled %s, which is no name of this console", s->address, a->host);
        session_close(s, SESSION_CLOSE_HOST, "host_refused");
    } else if (!proof_console_auth(a->signature, a->public_key, a->host, s->challenge,
                                   s->exporter)) {
        session_close(s, SESSION_CLOSE_AUTH, "auth_failed");
    } else {
        return true;
    }
    if (s->close_code == SESSION_CLOSE_AUTH)
        log_warning("%s: authentication failed: wrong key, or relayed", s->address);
    return false;
}

static void say_welcome(struct session *s)
{
    session_say(s, json_pack("{s:s, s:s, s:i, s:i, s:I, s:I}", "type", "welcome", "state",
                             session_stage_word(s->stage), "heartbeat_ms",
                             (int)s->env->heartbeat_ms, "chunk_window", SESSION_CHUNK_WINDOW,
                             "max_bundle_bytes", (json_int_t)s->env->uploads->max_bundle_bytes,
                             "time_ms", (json_int_t)clocks_wall_ms()));
}

int session_look_up(struct session *s, enum session_stage *stage)
{
    struct machine known;
    int result = machines_get(s->env->uploads->store, s->machine.id, &known);
    *stage = STAGE_UNENROLLED;
    if (result)
        return result;
    if (known.state == MACHINES_REVOKED) {
        session_close(s, SESSION_CLOSE_REVOKED, "revoked");
        return 0;
    }
    *stage = known.state == MACHINES_APPROVED ? STAGE_APPROVED : STAGE_PENDING;
    return 0;
}

void session_authenticate(struct session *s, const struct message_authenticate *a, uint64_t mono_ms)
{
    enum session_stage stage;
    struct store *store = s->env->uploads->store;
    char hex[65];
    if (!check_identity(s, a))
        return;
    copy_claims(&s->machine, a, s->address);
    s->has_commands = a->commands && s->env->commands;
    int result = session_look_up(s, &stage);
    if (result == MACHINES_UNKNOWN && s->machine.has_previous) {
        result = machines_rotate(store, &s->machine, clocks_wall_ms());
        if (!result)
            stage = STAGE_PENDING;
        else if (result == MACHINES_CLAIM_REFUSED)
            result = MACHINES_UNKNOWN;
    }
    if (result < 0)
        session_close(s, SESSION_CLOSE_INTERNAL, "internal");
    if (s->close_code)
        return;
    s->env->authenticated(s->env->context, s, s->machine.id);
    session_set_stage(s, stage, mono_ms);
    if (stage != STAGE_UNENROLLED)
        machines_seen(store, s->machine.id, &s->machine, clocks_wall_ms());
    log_notice("%s: machine %s connected, %s%s%s", s->address, session_hex(hex, s->machine.id, 32),
               session_stage_word(stage),
               s->machine.has_previous ? ", says that its key changed: " : "", s->machine.reason);
    say_welcome(s);
    session_commands_begin(s);
}

static void refuse_token(struct session *s, uint64_t mono_ms)
{
    log_warning("%s: enrolment refused", s->address);
    rate_count(s->env->enroll_rate, s->address, mono_ms);
    session_refuse(s, "token_refused", "unknown, used or expired token", NULL, 0);
    if (++s->enroll_refused >= SESSION_ENROLL_MAX)
        session_close(s, SESSION_CLOSE_RATE, "rate_limited");
}

void session_enroll(struct session *s, const struct message_enroll *e, uint64_t mono_ms)
{
    char hex[65];
    uint32_t wait = rate_wait_ms(s->env->enroll_rate, s->address, mono_ms);
    if (s->stage != STAGE_UNENROLLED) {
        session_refuse(s, "already_enrolled", "this machine is enrolled", NULL, 0);
        return;
    }
    if (wait) {
        session_refuse(s, "rate_limited", "too many refused tokens from this address", NULL, wait);
        return;
    }
    snprintf(s->machine.name, sizeof(s->machine.name), "%s", e->name);
    snprintf(s->machine.os, sizeof(s->machine.os), "%s", e->os);
    s->machine.has_previous = false;
    s->machine.reason[0] = '\0';
    int result = machines_enroll(s->env->uploads->store, e->token, &s->machine, clocks_wall_ms());
    if (result == MACHINES_TOKEN_REFUSED) {
        refuse_token(s, mono_ms);
    } else if (result == MACHINES_KNOWN) {
        session_refresh(s);
        session_refuse(s, "already_enrolled", "this machine is enrolled", NULL, 0);
    } else if (result) {
        session_close(s, SESSION_CLOSE_INTERNAL, "internal");
    } else {
        session_set_stage(s, STAGE_PENDING, mono_ms);
        session_hex(hex, s->machine.id, 32);
        log_notice("%s: machine %s enrolled as %s, waits for approval", s->address, hex, e->name);
        session_say(s, json_pack("{s:s, s:s, s:s}", "type", "enrolled", "state", "pending",
                                 "machine_id", hex));
    }
}

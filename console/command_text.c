#include "command_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clocks.h"
#include "exit_status.h"
#include "machines.h"

int command_text_view(struct command_view *view, struct admin *a, const struct queue_item *item)
{
    static char token[QUEUE_TOKEN_MAX];
    struct machine m;
    size_t length = 0;
    memset(view, 0, sizeof(*view));
    view->item = *item;
    int result = queue_token(a->store, item->token, token, &length);
    if (result)
        return result < 0 ? result : -ENOENT;
    claims_read(&view->claims, token, length);
    if (!item->has_receipt)
        return 0;
    result = queue_receipt(a->store, item->row, view->receipt_text);
    if (!result)
        result = machines_get(a->store, item->machine, &m);
    if (!result)
        view->has_receipt =
            receipt_check(&view->receipt, view->receipt_text, m.id, m.public_key, item->token) == 0;
    return result < 0 ? result : 0;
}

int command_text_find(struct admin *a, const char *token, const char *machine,
                      struct queue_item *out)
{
    struct machine m;
    int status = machine ? admin_find_machine(a, machine, &m) : EXIT_DONE;
    if (status)
        return status;
    int result = queue_find(a->store, token, machine ? m.id : NULL, out);
    if (result == QUEUE_AMBIGUOUS)
        fprintf(stderr, "cloister-console: more than one command is meant: give more digits, or "
                        "--machine\n");
    else if (result > 0)
        fprintf(stderr, "cloister-console: no such command: give 8 or more digits of its token's "
                        "id\n");
    return result == 0 ? EXIT_DONE : result > 0 ? EXIT_NOT_FOUND : EXIT_FAILED;
}

static void queued_text(char out[COMMAND_TEXT_STATE], const struct command_view *view)
{
    bool expired = view->claims.expires_s && view->claims.expires_s * 1000 <= clocks_wall_ms();
    snprintf(out, COMMAND_TEXT_STATE, "queued%s", expired ? " (claims to have expired)" : "");
}

const char *command_text_state(char out[COMMAND_TEXT_STATE], const struct command_view *view)
{
    const struct queue_item *item = &view->item;
    if (item->state == QUEUE_QUEUED)
        queued_text(out, view);
    else if (item->state == QUEUE_REFUSED)
        snprintf(out, COMMAND_TEXT_STATE, "refused: %s", item->reason);
    else if (item->state == QUEUE_DONE && !item->has_receipt)
        snprintf(out, COMMAND_TEXT_STATE, "revocation taken");
    else if (item->state == QUEUE_DONE && view->has_receipt)
        receipt_describe(out, COMMAND_TEXT_STATE, &view->receipt);
    else if (item->state == QUEUE_DONE)
        snprintf(out, COMMAND_TEXT_STATE, "receipt damaged");
    else
        snprintf(out, COMMAND_TEXT_STATE, "%s", queue_state_word(item->state));
    size_t used = strlen(out);
    if (!queue_finished(item->state) && item->held[0])
        snprintf(out + used, COMMAND_TEXT_STATE - used, " (held: %s)", item->held);
    used = strlen(out);
    if (item->wrong_receipt[0])
        snprintf(out + used, COMMAND_TEXT_STATE - used, " (wrong receipt refused: %s)",
                 item->wrong_receipt);
    return out;
}

static json_t *claims_json(const struct claims *c)
{
    json_t *o = json_object();
    if (c->kid[0])
        json_object_set_new(o, "kid", json_string(c->kid));
    if (c->id[0])
        json_object_set_new(o, "jti", json_string(c->id));
    if (c->profile[0])
        json_object_set_new(o, "profile", json_string(c->profile));
    if (c->what[0])
        json_object_set_new(o, "what", json_string(c->what));
    if (c->expires_s)
        json_object_set_new(o, "exp", json_integer((json_int_t)c->expires_s));
    return o;
}

static void add_stream(json_t *o, const char *name, const struct receipt_stream *s)
{
    char hex[65];
    json_object_set_new(o, name,
                        json_pack("{s:I, s:s, s:I}", "bytes", (json_int_t)s->bytes, "sha256",
                                  admin_hex(hex, s->sha256, 32), "dropped",
                                  (json_int_t)s->dropped));
}

static json_t *receipt_json(const struct receipt *r)
{
    static const char *const ends[] = {"", "exit", "signal", "errno"};
    json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:I}", "decision",
                          receipt_decision_word(r->decision), "reason", r->reason,
                          "accepted_time_ms", (json_int_t)r->accepted_ms, "started_time_ms",
                          (json_int_t)r->started_ms, "ended_time_ms", (json_int_t)r->ended_ms);
    if (r->decision != RECEIPT_RUN || !o)
        return o;
    json_object_set_new(o, ends[r->end], json_integer(r->value));
    json_object_set_new(o, "limit", json_string(r->limit));
    add_stream(o, "stdout", &r->stream[0]);
    add_stream(o, "stderr", &r->stream[1]);
    return o;
}

json_t *command_text_json(const struct command_view *view)
{
    const struct queue_item *i = &view->item;
    char token[33], machine[65], summary[COMMAND_TEXT_STATE];
    json_t *o = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "token",
        admin_hex(token, i->token, 16), "machine", admin_hex(machine, i->machine, 32),
        "machine_name", i->machine_name, "state", queue_state_word(i->state), "reason", i->reason,
        "summary", command_text_state(summary, view), "pushed_time_ms",
        (json_int_t)i->pushed_time_ms, "sent_time_ms", (json_int_t)i->sent_time_ms,
        "decided_time_ms", (json_int_t)i->decided_time_ms, "ended_time_ms",
        (json_int_t)i->ended_time_ms, "stdout_chunks", (json_int_t)i->place.chunks[0],
        "stderr_chunks", (json_int_t)i->place.chunks[1], "claimed", claims_json(&view->claims));
    if (!o)
        return NULL;
    if (!queue_finished(i->state) && i->held[0])
        json_object_set_new(o, "held", json_string(i->held));
    if (i->wrong_receipt[0])
        json_object_set_new(o, "wrong_receipt", json_string(i->wrong_receipt));
    if (view->has_receipt)
        json_object_set_new(o, "receipt", receipt_json(&view->receipt));
    return o;
}

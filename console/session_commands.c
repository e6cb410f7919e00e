#include "session_internal.h"

#include <errno.h>
#include <string.h>

#include "clocks.h"
#include "log.h"
#include "receipt.h"

/* Room that a command needs to be sent, or to go on: more than an agent has unacknowledged, so that
 * it gets somewhere; or half of a limit that is small. */
#define ROOM_BYTES (UINT64_C(5) << 20)

static struct store *store_of(const struct session *s)
{
    return s->env->uploads->store;
}

void session_commands_failed(struct session *s, int result)
{
    log_error("%s: commands: %s", s->address, result < 0 ? strerror(-result) : "no such command");
    session_close(s, SESSION_CLOSE_INTERNAL, "internal");
}

/* The slot of `token`, or, with NULL, a free one; NULL if there is none. */
struct session_command *session_command_find(struct session *s, const uint8_t *token)
{
    for (int i = 0; i < SESSION_COMMANDS_MAX; i++) {
        struct session_command *c = &s->commands[i];
        if (token ? c->phase != COMMAND_NONE && memcmp(c->token, token, 16) == 0
                  : c->phase == COMMAND_NONE)
            return c;
    }
    return NULL;
}

static struct session_command *find_phase(struct session *s, enum command_phase phase)
{
    for (int i = 0; i < SESSION_COMMANDS_MAX; i++) {
        if (s->commands[i].phase == phase)
            return &s->commands[i];
    }
    return NULL;
}

static unsigned free_slots(const struct session *s)
{
    unsigned n = 0;
    for (int i = 0; i < SESSION_COMMANDS_MAX; i++)
        n += s->commands[i].phase == COMMAND_NONE;
    return n;
}

static void take_slot(struct session_command *c, const struct queue_item *item,
                      enum command_phase phase)
{
    memset(c, 0, sizeof(*c));
    c->phase = phase;
    c->row = item->row;
    memcpy(c->token, item->token, sizeof(c->token));
    c->noted = item->place;
    c->file.fd = -1;
}

int session_commands_count(struct session *s)
{
    int result = queue_stored(store_of(s), s->machine.id, &s->stored);
    for (int i = 0; !result && i < SESSION_COMMANDS_MAX; i++) {
        const struct session_command *c = &s->commands[i];
        if (c->phase != COMMAND_NONE && c->file.fd >= 0 && c->file.written.size > c->noted.size)
            s->stored += c->file.written.size - c->noted.size;
    }
    return result;
}

static void say_query(struct session *s, struct session_command *c)
{
    char hex[33];
    const uint32_t *chunks = c->file.durable.chunks;
    memcpy(c->acked, chunks, sizeof(c->acked));
    c->phase = COMMAND_QUERIED;
    session_say(s, json_pack("{s:s, s:s, s:I, s:I}", "type", "command_query", "token",
                             session_hex(hex, c->token, 16), "stdout", (json_int_t)chunks[0],
                             "stderr", (json_int_t)chunks[1]));
}

/* Finds out what is stored of a command that was sent on an earlier connection, and asks for the
 * rest. */
static int query(struct session *s, struct session_command *c)
{
    int result = output_file_open(&c->file, s->env->commands->folder, c->row, false, &c->noted);
    if (result && result != -ENOENT)
        return result;
    say_query(s, c);
    return 0;
}

static bool has_room(uint64_t used, uint64_t limit)
{
    uint64_t need = limit / 2 < ROOM_BYTES ? limit / 2 : ROOM_BYTES;
    return used <= limit && limit - used >= need;
}

/* Whether a command that found no room may go on: there is room, or the machine has thrown its
 * output away by now. */
static bool may_go_on(const struct session *s, const struct session_command *c)
{
    const struct session_command_env *env = s->env->commands;
    return clocks_wall_ms() >= c->held_until_ms ||
           (has_room(s->stored, env->quota_bytes) && has_room(c->noted.size, env->output_bytes));
}

static int resume(struct session *s)
{
    struct queue_item items[SESSION_COMMANDS_MAX];
    unsigned count = 0;
    int result =
        queue_waiting(store_of(s), s->machine.id, true, items, SESSION_COMMANDS_MAX, &count);
    for (unsigned i = 0; !result && i < count; i++) {
        struct session_command *c = &s->commands[i];
        take_slot(c, &items[i], COMMAND_HELD);
        c->held_until_ms = items[i].held[0] ? items[i].held_time_ms + SESSION_HELD_MS : 0;
        if (may_go_on(s, c))
            result = query(s, c);
    }
    return result;
}

static int mark_sent(struct session *s, const struct queue_item *items, unsigned count)
{
    int result = store_begin(store_of(s));
    if (result)
        return result;
    for (unsigned i = 0; !result && i < count; i++)
        result = queue_sent(store_of(s), items[i].row, clocks_wall_ms());
    return store_end(store_of(s), result);
}

/* They are marked as sent first, durably: should this process die now, the machine is asked whether
 * it heard of them before it hears of them again. */
static int send_tokens(struct session *s, const struct queue_item *items, unsigned count)
{
    static char token[QUEUE_TOKEN_MAX]; /* sessions share one thread */
    size_t length = 0;
    int result = mark_sent(s, items, count);
    for (unsigned i = 0; !result && i < count; i++) {
        result = queue_token(store_of(s), items[i].token, token, &length);
        if (result)
            break;
        take_slot(session_command_find(s, NULL), &items[i], COMMAND_SENT);
        session_say_frame(s, FRAME_TOKEN, items[i].token, token, length);
        s->pace_bytes += length;
    }
    return result;
}

/* Whether there is room for another command's output. What was counted may have been deleted since.
 */
static int find_room(struct session *s, bool *found)
{
    int result = 0;
    *found = has_room(s->stored, s->env->commands->quota_bytes);
    if (!*found)
        result = session_commands_count(s);
    if (!*found && !result)
        *found = has_room(s->stored, s->env->commands->quota_bytes);
    return result;
}

static int hold_queued(struct session *s, const struct queue_item *item)
{
    if (item->held[0])
        return 0;
    log_warning("%s: commands rest: the output of this machine's commands has used up its quota",
                s->address);
    return queue_hold(store_of(s), item->row, "quota", clocks_wall_ms());
}

/* Whether tokens may be sent in this second. */
static bool keeps_pace(struct session *s)
{
    uint64_t now_ms = clocks_mono_ms();
    if (now_ms - s->pace_since_ms >= 1000) {
        s->pace_since_ms = now_ms;
        s->pace_bytes = 0;
    }
    s->paced = s->pace_bytes >= SESSION_PACE_BYTES;
    return !s->paced;
}

/* Sends what is queued, in order, once everything sent earlier has been answered for. */
static int pump(struct session *s)
{
    struct queue_item items[SESSION_COMMANDS_MAX];
    unsigned count = 0, room = free_slots(s);
    if (room == 0 || find_phase(s, COMMAND_QUERIED))
        return 0;
    int result = queue_waiting(store_of(s), s->machine.id, false, items, room, &count);
    s->paced = false;
    if (result || count == 0 || !keeps_pace(s))
        return result;
    bool room_here = false;
    result = find_room(s, &room_here);
    if (result)
        return result;
    if (!room_here)
        return hold_queued(s, &items[0]);
    return send_tokens(s, items, count);
}

static bool active(const struct session *s)
{
    return s->has_commands && s->stage == STAGE_APPROVED && !s->close_code;
}

/* Says that what was pushed cannot be sent: somebody may be waiting for it. */
static void log_in_vain(const struct session *s)
{
    struct queue_item item;
    unsigned count = 0;
    if (s->stage == STAGE_APPROVED && s->env->commands && !s->has_commands &&
        queue_waiting(store_of(s), s->machine.id, false, &item, 1, &count) == 0 && count)
        log_warning("%s: commands wait, and this agent takes none", s->address);
}

void session_commands_begin(struct session *s)
{
    log_in_vain(s);
    if (!active(s))
        return;
    int result = session_commands_count(s);
    if (!result)
        result = resume(s);
    if (!result)
        result = session_commands_count(s);
    if (!result)
        result = pump(s);
    if (result)
        session_commands_failed(s, result);
}

void session_commands_refresh(struct session *s)
{
    if (!active(s))
        return;
    int result = find_phase(s, COMMAND_HELD) ? session_commands_count(s) : 0;
    for (int i = 0; !result && i < SESSION_COMMANDS_MAX; i++) {
        struct session_command *c = &s->commands[i];
        if (c->phase == COMMAND_HELD && may_go_on(s, c))
            result = query(s, c);
    }
    if (!result)
        result = pump(s);
    if (result)
        session_commands_failed(s, result);
}

void session_commands_tick(struct session *s)
{
    const struct session_command *held = find_phase(s, COMMAND_HELD);
    if (s->paced || (held && clocks_wall_ms() >= held->held_until_ms))
        session_commands_refresh(s);
}

/* True if the receipt is this machine's about this command; otherwise that is noted. */
static bool check_receipt(struct session *s, struct session_command *c, const char *text)
{
    struct receipt receipt;
    char hex[65], token[33];
    int result = receipt_check(&receipt, text, s->machine.id, s->machine.public_key, c->token);
    if (result == 0)
        return true;
    if (result < 0) {
        session_commands_failed(s, result);
        return false;
    }
    const char *why = receipt_outcome_word(result);
    log_warning("%s: machine %s: refused a receipt for command %s: %s", s->address,
                session_hex(hex, s->machine.id, 32), session_hex(token, c->token, 16), why);
    queue_wrong_receipt(store_of(s), c->row, why);
    session_violation(s, "receipt", why);
    return false;
}

/* The command is finished: room for the next. */
static void finish(struct session *s, struct session_command *c, int result)
{
    if (result) {
        session_commands_failed(s, result);
        return;
    }
    session_command_leave(c);
    output_folder_announce(s->env->commands->folder);
    result = pump(s);
    if (result)
        session_commands_failed(s, result);
}

static void take_decision(struct session *s, struct session_command *c,
                          const struct message_command *m)
{
    uint64_t now_ms = clocks_wall_ms();
    char hex[33];
    if (c->phase != COMMAND_SENT) {
        session_violation(s, "order", "command_decision");
        return;
    }
    if (m->accepted && strcmp(m->reason, "revocation") != 0) {
        int result = queue_running(store_of(s), c->row, now_ms);
        c->phase = COMMAND_RUNNING;
        if (result)
            session_commands_failed(s, result);
        return;
    }
    /* Not a decision: it is offered again, and decided then. */
    if (strcmp(m->reason, "busy") == 0)
        return;
    if (m->receipt[0] && !check_receipt(s, c, m->receipt))
        return;
    if (!m->accepted)
        log_notice("%s: command %s refused: %s", s->address, session_hex(hex, c->token, 16),
                   m->reason);
    finish(s, c,
           m->accepted ? queue_taken(store_of(s), c->row, now_ms)
                       : queue_refused(store_of(s), c->row, m->reason, m->receipt, now_ms));
}

static void take_receipt(struct session *s, struct session_command *c,
                         const struct message_command *m)
{
    char hex[33];
    if (c->phase != COMMAND_RUNNING && c->phase != COMMAND_QUERIED) {
        session_violation(s, "order", "command_receipt");
        return;
    }
    session_sync(s);
    if (s->close_code || !check_receipt(s, c, m->receipt))
        return;
    int result = queue_done(store_of(s), c->row, m->receipt, &c->file.durable, clocks_wall_ms());
    if (!result)
        session_say(s, json_pack("{s:s, s:s}", "type", "command_done", "token",
                                 session_hex(hex, c->token, 16)));
    finish(s, c, result);
}

/* Of a command that it accepted it says so when its record was lost: that is not sent again, since
 * it may have run. */
static void take_unknown(struct session *s, struct session_command *c)
{
    struct queue_item item;
    int result = queue_get(store_of(s), c->row, &item);
    if (!result && item.state == QUEUE_RUNNING)
        result = queue_refused(store_of(s), c->row, "lost", "", clocks_wall_ms());
    else if (!result)
        result = queue_unsent(store_of(s), c->row);
    finish(s, c, result);
}

static void take_running(struct session *s, struct session_command *c)
{
    int result = queue_running(store_of(s), c->row, clocks_wall_ms());
    c->phase = COMMAND_RUNNING;
    c->may_skip[0] = c->may_skip[1] = true;
    if (!result)
        result = pump(s);
    if (result)
        session_commands_failed(s, result);
}

void session_command_message(struct session *s, enum message_type type,
                             const struct message_command *m)
{
    struct session_command *c = session_command_find(s, m->token);
    bool queried = c && c->phase == COMMAND_QUERIED;
    if (!c)
        session_violation(s, "order", "about a command that is not open");
    else if (type == MESSAGE_COMMAND_DECISION)
        take_decision(s, c, m);
    else if (type == MESSAGE_COMMAND_RECEIPT)
        take_receipt(s, c, m);
    else if (type == MESSAGE_COMMAND_UNKNOWN && (queried || c->phase == COMMAND_RUNNING))
        take_unknown(s, c);
    else if (type == MESSAGE_COMMAND_RUNNING && queried)
        take_running(s, c);
    else
        session_violation(s, "order", "answers no command_query");
}

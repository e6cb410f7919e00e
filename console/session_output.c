#include "session_internal.h"

#include <string.h>

#include "clocks.h"
#include "log.h"

/* The database learns of progress when so much was written: what lies beyond is looked through
 * again after a crash, so it bounds work, not safety. */
#define PROGRESS_BYTES (UINT64_C(64) << 20)

void session_command_leave(struct session_command *c)
{
    if (c->phase != COMMAND_NONE && c->file.fd >= 0)
        output_file_close(&c->file);
    memset(c, 0, sizeof(*c)); /* COMMAND_NONE */
    c->file.fd = -1;
}

static void note_progress(struct session *s, struct session_command *c)
{
    if (c->file.durable.size != c->noted.size &&
        queue_progress(s->env->uploads->store, c->row, &c->file.durable) == 0)
        c->noted = c->file.durable;
}

void session_commands_drop_all(struct session *s)
{
    s->unsynced = 0;
    for (int i = 0; i < SESSION_COMMANDS_MAX; i++) {
        struct session_command *c = &s->commands[i];
        if (c->phase != COMMAND_NONE && c->file.fd >= 0 && output_file_sync(&c->file) == 0)
            note_progress(s, c);
        session_command_leave(c);
    }
}

/* A sixteenth more for the heads of records, which are many when chunks are small. */
static bool output_fits(const struct session *s, uint64_t size)
{
    uint64_t limit = s->env->commands->output_bytes;
    return size <= limit + limit / 16;
}

bool session_unsynced(const struct session *s)
{
    return s->unsynced > 0;
}

static void acknowledge(struct session *s, struct session_command *c)
{
    char hex[33];
    const uint32_t *chunks = c->file.durable.chunks;
    if (memcmp(chunks, c->acked, sizeof(c->acked)) == 0)
        return;
    memcpy(c->acked, chunks, sizeof(c->acked));
    session_say_ack(s, c->token,
                    json_pack("{s:s, s:s, s:I, s:I}", "type", "command_ack", "token",
                              session_hex(hex, c->token, 16), "stdout", (json_int_t)chunks[0],
                              "stderr", (json_int_t)chunks[1]));
}

void session_sync(struct session *s)
{
    if (s->close_code || s->unsynced == 0)
        return;
    s->unsynced = 0;
    for (int i = 0; i < SESSION_COMMANDS_MAX; i++) {
        struct session_command *c = &s->commands[i];
        if (c->phase != COMMAND_RUNNING || c->file.fd < 0)
            continue;
        int result = output_file_sync(&c->file);
        if (result) {
            log_error("%s: storage failed: %s", s->address, strerror(-result));
            session_close(s, SESSION_CLOSE_INTERNAL, "storage");
            return;
        }
        if (c->file.durable.size - c->noted.size >= PROGRESS_BYTES)
            note_progress(s, c);
        acknowledge(s, c);
    }
}

/* There is no room: the machine keeps its output for a while, and is asked again after that. */
static void hold(struct session *s, struct session_command *c, const char *why)
{
    char hex[33];
    log_warning("%s: the output of command %s found no room (%s)", s->address,
                session_hex(hex, c->token, 16), why);
    int result = queue_hold(s->env->uploads->store, c->row, why, clocks_wall_ms());
    if (result)
        session_commands_failed(s, result);
    else
        session_close(s, SESSION_CLOSE_INTERNAL, "storage");
}

static bool quota_has(const struct session *s, uint64_t bytes)
{
    uint64_t quota = s->env->commands->quota_bytes;
    return s->stored <= quota && bytes <= quota - s->stored;
}

static void store_chunk(struct session *s, struct session_command *c, const struct frame *frame)
{
    unsigned stream = frame->kind == FRAME_STDERR;
    uint64_t bytes = OUTPUT_RECORD_HEAD + frame->length;
    int result = 0;
    if (!output_fits(s, c->file.written.size + bytes)) {
        hold(s, c, "output");
        return;
    }
    if (!quota_has(s, bytes) && (session_commands_count(s) != 0 || !quota_has(s, bytes))) {
        hold(s, c, "quota");
        return;
    }
    if (c->file.fd < 0)
        result = output_file_open(&c->file, s->env->commands->folder, c->row, true, &c->noted);
    if (!result)
        result = output_file_append(&c->file, stream, frame->index, frame->content, frame->length);
    if (result) {
        log_error("%s: storage failed: %s", s->address, strerror(-result));
        session_close(s, SESSION_CLOSE_INTERNAL, "storage");
        return;
    }
    c->may_skip[stream] = false;
    s->stored += bytes;
    if (++s->unsynced >= SESSION_UNSYNCED_CHUNKS)
        session_sync(s);
}

void session_command_frame(struct session *s, const struct frame *frame)
{
    struct session_command *c = session_command_find(s, frame->ticket);
    unsigned stream = frame->kind == FRAME_STDERR;
    if (!c || c->phase != COMMAND_RUNNING) {
        session_violation(s, "order", "output of a command that does not run");
        return;
    }
    uint32_t next = c->file.written.chunks[stream];
    if (frame->index < next || frame->index == UINT32_MAX ||
        (frame->index > next && !c->may_skip[stream]))
        session_violation(s, "order", "output is not the next chunk");
    else
        store_chunk(s, c, frame);
}

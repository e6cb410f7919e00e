#include "session_internal.h"

#include <errno.h>
#include <string.h>

#include "clocks.h"
#include "log.h"

/* Agents are asked to come back after this when the console's disk or database failed them. */
#define STORAGE_RETRY_MS 60000

void session_bundle_drop_all(struct session *s)
{
    for (int i = 0; i < SESSION_UPLOADS_MAX; i++)
        s->uploads[i] = upload_free(s->uploads[i], clocks_wall_ms());
}

/* The slot of the upload of `ticket`, or, with NULL, a free one; NULL if there is none. */
static struct upload **find(struct session *s, const uint8_t *ticket)
{
    for (int i = 0; i < SESSION_UPLOADS_MAX; i++) {
        struct upload *u = s->uploads[i];
        if (ticket ? u && memcmp(upload_ticket(u), ticket, 16) == 0 : !u)
            return &s->uploads[i];
    }
    return NULL;
}

/* `{"type": type, "ticket": ..., name: index}`. */
static json_t *ticket_message(const char *type, const uint8_t *ticket, const char *name,
                              uint32_t index)
{
    char hex[33];
    return json_pack("{s:s, s:s, s:I}", "type", type, "ticket", session_hex(hex, ticket, 16), name,
                     (json_int_t)index);
}

static void say_done(struct session *s, const struct bundle *done)
{
    char hex[33], number[BUNDLES_NUMBER_TEXT];
    bundles_number_text(number, done->number);
    session_say(s, json_pack("{s:s, s:s, s:s, s:I}", "type", "bundle_done", "ticket",
                             session_hex(hex, done->ticket, 16), "number", number,
                             "received_time_ms", (json_int_t)done->received_time_ms));
}

static void log_done(struct session *s, const struct bundle *done)
{
    char hex[65], number[BUNDLES_NUMBER_TEXT];
    bundles_number_text(number, done->number);
    log_notice("%s: machine %s: %s complete, %llu bytes", s->address,
               session_hex(hex, s->machine.id, 32), number, (unsigned long long)done->size);
}

/* Says what became of bundle_begin or of the list of digests. */
static void answer(struct session *s, const uint8_t *ticket, const struct upload *u, int result,
                   const struct bundle *done)
{
    switch (result) {
    case UPLOAD_NEED_DIGESTS:
        session_say(s, ticket_message("bundle_digests", ticket, "next", upload_next(u)));
        break;
    case UPLOAD_NEED_CHUNKS:
        session_say(s, ticket_message("bundle_ready", ticket, "have", upload_next(u)));
        break;
    case UPLOAD_DONE:
        say_done(s, done);
        break;
    case UPLOAD_BAD_ORIGIN:
        session_refuse(s, "origin_invalid", "the origin signature does not hold", ticket, 0);
        break;
    case UPLOAD_CONFLICT:
        session_refuse(s, "ticket_conflict", "this ticket id is another bundle's", ticket, 0);
        break;
    case UPLOAD_TOO_LARGE:
        session_refuse(s, "bundle_too_large", "larger than this console takes", ticket, 0);
        break;
    case UPLOAD_QUOTA:
        session_refuse(s, "quota_exceeded", "this machine's storage is used up", ticket, 0);
        break;
    case UPLOAD_DIGEST_MISMATCH:
        session_refuse(s, "digest_mismatch", "the chunk digests do not make the digest", ticket, 0);
        break;
    default:
        log_error("%s: storage failed: %s", s->address, strerror(-result));
        session_refuse(s, "storage", "the console could not store it", ticket, STORAGE_RETRY_MS);
    }
}

void session_bundle_begin(struct session *s, const struct message_bundle_begin *begin)
{
    struct bundle done;
    struct upload **slot = find(s, NULL);
    if (s->stage != STAGE_APPROVED) {
        session_refuse(s, "not_approved", "this machine is not approved", begin->ticket, 0);
        return;
    }
    if (find(s, begin->ticket)) {
        session_violation(s, "order", "bundle_begin for a bundle under way");
        return;
    }
    if (!slot) {
        session_refuse(s, "busy", "four bundles are under way", begin->ticket, 0);
        return;
    }
    int result = upload_begin(slot, s->env->uploads, s->machine.id, s->machine.public_key, begin,
                              clocks_wall_ms(), &done);
    answer(s, begin->ticket, *slot, result, &done);
}

void session_bundle_abort(struct session *s, const struct message_bundle_abort *abort)
{
    struct bundle done;
    char hex[33];
    if (s->stage != STAGE_APPROVED) {
        session_refuse(s, "not_approved", "this machine is not approved", abort->ticket, 0);
        return;
    }
    struct upload **slot = find(s, abort->ticket);
    if (slot)
        *slot = upload_free(*slot, clocks_wall_ms());
    int result = upload_forget(s->env->uploads, s->machine.id, abort->ticket, &done);
    if (result)
        answer(s, abort->ticket, NULL, result, &done);
    else
        session_say(s, json_pack("{s:s, s:s}", "type", "bundle_aborted", "ticket",
                                 session_hex(hex, abort->ticket, 16)));
}

static void take_digests(struct session *s, struct upload **slot, const struct frame *frame)
{
    int result = upload_digests(*slot, frame->index, frame->content, frame->length);
    if (result == UPLOAD_NEED_DIGESTS)
        return;
    if (result == UPLOAD_ORDER || result == UPLOAD_MALFORMED) {
        session_violation(s, result == UPLOAD_ORDER ? "order" : "malformed", "digests");
        return;
    }
    answer(s, frame->ticket, *slot, result, NULL);
    if (result != UPLOAD_NEED_CHUNKS)
        *slot = upload_free(*slot, clocks_wall_ms());
}

static void take_chunk(struct session *s, struct upload **slot, const struct frame *frame)
{
    struct bundle done;
    int result =
        upload_chunk(*slot, frame->index, frame->content, frame->length, clocks_wall_ms(), &done);
    switch (result) {
    case UPLOAD_NEED_CHUNKS:
        session_say_ack(s, frame->ticket,
                        ticket_message("chunk", frame->ticket, "index", frame->index));
        break;
    case UPLOAD_DONE:
        *slot = upload_free(*slot, clocks_wall_ms());
        log_done(s, &done);
        say_done(s, &done);
        break;
    case UPLOAD_BAD_CHUNK:
        session_violation(s, "chunk_digest", "a chunk does not have its digest");
        break;
    case UPLOAD_ORDER:
    case UPLOAD_MALFORMED:
        session_violation(s, result == UPLOAD_ORDER ? "order" : "malformed", "chunk");
        break;
    default:
        /* More chunks are on their way, so this cannot be an `error` for one ticket. */
        log_error("%s: storage failed: %s", s->address, strerror(-result));
        session_close(s, SESSION_CLOSE_INTERNAL, "storage");
    }
}

void session_bundle_frame(struct session *s, const struct frame *frame)
{
    struct upload **slot = find(s, frame->ticket);
    if (!slot)
        session_violation(s, "order", "binary frame for a bundle that is not under way");
    else if (frame->kind == FRAME_DIGESTS)
        take_digests(s, slot, frame);
    else
        take_chunk(s, slot, frame);
}

#include "upload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECIPIENT_MAX 128
#define NEVER         INT64_MAX

enum stage {
    STAGE_FREE,
    STAGE_OFFERED,
    STAGE_BEGUN,   /* bundle_begin sent */
    STAGE_DIGESTS, /* chunk digests sent */
    STAGE_SENDING, /* bundle_ready received */
    STAGE_DONE,    /* bundle_done received */
};

struct upload {
    enum stage stage;
    uint32_t ticket;
    struct wire_bundle bundle;
    char recipients[WIRE_RECIPIENTS_MAX][RECIPIENT_MAX + 1];
    uint8_t *digests;
    uint32_t next_in;                /* the chunk that is to be handed in next */
    uint32_t next_out;               /* the chunk that is to be sent next */
    uint32_t acked;                  /* chunks that the console has for sure */
    uint8_t *held[UPLOAD_AHEAD_MAX]; /* chunks next_out to next_in - 1, which wait for room */
    int64_t deadline_ms;
    char number[24 + 1];
};

/* bundle_abort sent; what the console says of this bundle before its answer is stale. */
struct aborting {
    bool used;
    uint8_t id[WIRE_TICKET_SIZE];
    int64_t deadline_ms;
};

struct uploads {
    const struct upload_callbacks *callbacks;
    void *user;
    uint32_t window;
    uint64_t max_bytes;
    int64_t second_since_ms; /* of the pace */
    uint32_t sent_in_second;
    struct upload slots[UPLOAD_OFFERS_MAX];
    /* Apart from the slots: an ended ticket's bundle must not keep the next one's out. */
    struct aborting aborting[UPLOAD_ABORTS_MAX];
};

int uploads_new(struct uploads **out, const struct upload_callbacks *callbacks, void *user)
{
    struct uploads *uploads = calloc(1, sizeof *uploads);

    if (!uploads)
        return -ENOMEM;
    uploads->callbacks = callbacks;
    uploads->user = user;
    *out = uploads;
    return 0;
}

static uint32_t held_count(const struct upload *upload)
{
    return upload->next_in - upload->next_out;
}

static void drop_held(struct upload *upload)
{
    for (uint32_t i = 0; i < held_count(upload); i++)
        free(upload->held[i]);
    upload->next_in = upload->next_out;
}

static void release(struct upload *upload)
{
    drop_held(upload);
    free(upload->digests);
    memset(upload, 0, sizeof *upload);
}

struct uploads *uploads_free(struct uploads *uploads)
{
    if (uploads) {
        for (size_t i = 0; i < UPLOAD_OFFERS_MAX; i++)
            release(&uploads->slots[i]);
        free(uploads);
    }
    return NULL;
}

void uploads_limits(struct uploads *uploads, uint32_t chunk_window, uint64_t max_bundle_bytes)
{
    uploads->window = chunk_window;
    uploads->max_bytes = max_bundle_bytes;
}

static struct upload *find(const struct uploads *uploads, uint32_t ticket)
{
    for (size_t i = 0; i < UPLOAD_OFFERS_MAX; i++) {
        const struct upload *upload = &uploads->slots[i];

        if (upload->stage != STAGE_FREE && upload->ticket == ticket)
            return (struct upload *)(uintptr_t)upload;
    }
    return NULL;
}

static struct upload *find_by_id(struct uploads *uploads, const uint8_t *id)
{
    for (size_t i = 0; i < UPLOAD_OFFERS_MAX; i++) {
        struct upload *upload = &uploads->slots[i];

        if (upload->stage > STAGE_OFFERED &&
            memcmp(upload->bundle.ticket, id, WIRE_TICKET_SIZE) == 0)
            return upload;
    }
    return NULL;
}

static struct aborting *find_aborting(struct uploads *uploads, const uint8_t *id)
{
    for (size_t i = 0; i < UPLOAD_ABORTS_MAX; i++) {
        struct aborting *aborting = &uploads->aborting[i];

        if (aborting->used && memcmp(aborting->id, id, WIRE_TICKET_SIZE) == 0)
            return aborting;
    }
    return NULL;
}

static struct aborting *free_aborting(struct uploads *uploads)
{
    for (size_t i = 0; i < UPLOAD_ABORTS_MAX; i++)
        if (!uploads->aborting[i].used)
            return &uploads->aborting[i];
    return NULL;
}

/* Whether every bundle that is under way could be called off, and one more. */
static bool may_begin(const struct uploads *uploads)
{
    size_t count = 0;

    for (size_t i = 0; i < UPLOAD_ABORTS_MAX; i++)
        count += uploads->aborting[i].used;
    for (size_t i = 0; i < UPLOAD_OFFERS_MAX; i++)
        count += uploads->slots[i].stage > STAGE_OFFERED;
    return count < UPLOAD_ABORTS_MAX;
}

static struct upload *free_slot(struct uploads *uploads)
{
    for (size_t i = 0; i < UPLOAD_OFFERS_MAX; i++)
        if (uploads->slots[i].stage == STAGE_FREE)
            return &uploads->slots[i];
    return NULL;
}

static int copy_bundle(struct upload *upload, const struct wire_bundle *bundle,
                       const uint8_t *digests)
{
    size_t length = (size_t)bundle->chunks * WIRE_DIGEST_SIZE;

    upload->digests = malloc(length);
    if (!upload->digests)
        return -ENOMEM;
    memcpy(upload->digests, digests, length);
    upload->bundle = *bundle;
    for (size_t i = 0; i < bundle->recipient_count; i++) {
        strcpy(upload->recipients[i], bundle->recipients[i]);
        upload->bundle.recipients[i] = upload->recipients[i];
    }
    return 0;
}

static bool is_sound(const struct wire_bundle *bundle)
{
    if (bundle->chunks == 0 || bundle->chunks != wire_chunks(bundle->size) ||
        bundle->recipient_count == 0 || bundle->recipient_count > WIRE_RECIPIENTS_MAX)
        return false;
    for (size_t i = 0; i < bundle->recipient_count; i++)
        if (strnlen(bundle->recipients[i], RECIPIENT_MAX + 1) > RECIPIENT_MAX)
            return false;
    return true;
}

int uploads_offer(struct uploads *uploads, uint32_t ticket, const struct wire_bundle *bundle,
                  const uint8_t *chunk_digests)
{
    struct upload *upload = find(uploads, ticket);
    int rc;

    if (!is_sound(bundle))
        return UPLOAD_BAD_OFFER;
    if (upload && upload->stage != STAGE_OFFERED)
        return UPLOAD_ORDER;
    if (upload)
        release(upload);
    else
        upload = free_slot(uploads);
    if (!upload)
        return UPLOAD_TOO_MANY;
    rc = copy_bundle(upload, bundle, chunk_digests);
    if (rc < 0)
        return rc;
    upload->ticket = ticket;
    upload->stage = STAGE_OFFERED;
    upload->deadline_ms = NEVER;
    return 0;
}

/* Queues a message that a writer of wire.h made, and frees it. */
static int send_text(struct uploads *uploads, char *text)
{
    int rc = -ENOMEM;

    if (text)
        rc = uploads->callbacks->send_text(uploads->user, text, strlen(text));
    free(text);
    return rc;
}

static int send_binary(struct uploads *uploads, enum wire_kind kind, const struct upload *upload,
                       uint32_t index, const void *bytes, size_t length)
{
    uint8_t *frame = malloc(WIRE_HEADER_SIZE + length);
    int rc;

    if (!frame)
        return -ENOMEM;
    wire_write_header(frame, kind, upload->bundle.ticket, index);
    memcpy(frame + WIRE_HEADER_SIZE, bytes, length);
    rc = uploads->callbacks->send_binary(uploads->user, frame, WIRE_HEADER_SIZE + length);
    free(frame);
    return rc;
}

static void tell(struct uploads *uploads, const struct upload *upload, enum upload_event event,
                 const char *code, const char *text)
{
    const struct upload_news news = {
        .event = event,
        .ticket = upload->ticket,
        .index = event == UPLOAD_TAKEN ? upload->next_out - 1 : upload->next_out,
        .number = upload->number,
        .code = code,
        .text = text,
    };

    uploads->callbacks->news(uploads->user, &news);
}

/* Begun before, by a ticket program that gave up waiting: it hands in again what was not sent. */
static int resume(struct uploads *uploads, struct upload *upload)
{
    if (upload->stage == STAGE_DONE)
        return UPLOAD_ORDER;
    if (upload->stage == STAGE_SENDING) {
        drop_held(upload);
        tell(uploads, upload, UPLOAD_READY, NULL, NULL);
    }
    return 0;
}

int uploads_begin(struct uploads *uploads, uint32_t ticket, int64_t now_ms)
{
    struct upload *upload = find(uploads, ticket);
    int rc;

    if (!upload)
        return UPLOAD_NO_SUCH;
    if (upload->stage != STAGE_OFFERED)
        return resume(uploads, upload);
    if (find_by_id(uploads, upload->bundle.ticket) ||
        find_aborting(uploads, upload->bundle.ticket) || !may_begin(uploads))
        return UPLOAD_BUSY;
    if (upload->bundle.size > uploads->max_bytes)
        return UPLOAD_TOO_LARGE;
    rc = send_text(uploads, wire_write_bundle_begin(&upload->bundle));
    if (rc < 0)
        return rc;
    upload->stage = STAGE_BEGUN;
    upload->deadline_ms = now_ms + UPLOAD_ANSWER_MS;
    return 0;
}

static void pace(struct uploads *uploads, int64_t now_ms)
{
    if (now_ms - uploads->second_since_ms < 1000)
        return;
    uploads->second_since_ms = now_ms;
    uploads->sent_in_second = 0;
}

/* Whether one more chunk of this bundle may be sent. */
static bool has_room(const struct uploads *uploads, const struct upload *upload)
{
    return upload->next_out - upload->acked < uploads->window &&
           uploads->sent_in_second < UPLOAD_CHUNKS_PER_S &&
           uploads->callbacks->queued(uploads->user) <= UPLOAD_QUEUE_MAX;
}

/* Sends the first held chunk and says so, in this order: `news` may hand in the next one. */
static int send_held(struct uploads *uploads, struct upload *upload, int64_t now_ms)
{
    uint8_t *bytes = upload->held[0];
    int rc = send_binary(uploads, WIRE_KIND_CHUNK, upload, upload->next_out, bytes,
                         wire_chunk_length(upload->bundle.size, upload->next_out));

    if (rc < 0)
        return rc;
    if (upload->acked == upload->next_out)
        upload->deadline_ms = now_ms + UPLOAD_ANSWER_MS;
    memmove(upload->held, upload->held + 1, (held_count(upload) - 1) * sizeof *upload->held);
    free(bytes);
    uploads->sent_in_second++;
    upload->next_out++;
    tell(uploads, upload, UPLOAD_TAKEN, NULL, NULL);
    return 0;
}

/* Sends what there is room for. Returns 0 or -errno. */
static int pump(struct uploads *uploads, int64_t now_ms)
{
    int rc = 0;

    pace(uploads, now_ms);
    for (size_t i = 0; i < UPLOAD_OFFERS_MAX; i++) {
        struct upload *upload = &uploads->slots[i];

        while (rc == 0 && upload->stage == STAGE_SENDING && held_count(upload) > 0 &&
               has_room(uploads, upload))
            rc = send_held(uploads, upload, now_ms);
    }
    return rc;
}

int uploads_chunk(struct uploads *uploads, uint32_t ticket, uint32_t index, const void *bytes,
                  size_t length, int64_t now_ms)
{
    struct upload *upload = find(uploads, ticket);
    uint8_t *copy;

    if (!upload)
        return UPLOAD_NO_SUCH;
    if (upload->stage != STAGE_SENDING || index != upload->next_in ||
        index >= upload->bundle.chunks || held_count(upload) == UPLOAD_AHEAD_MAX)
        return UPLOAD_ORDER;
    if (length != wire_chunk_length(upload->bundle.size, index))
        return UPLOAD_LENGTH;
    copy = malloc(length);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, bytes, length);
    upload->held[held_count(upload)] = copy;
    upload->next_in++;
    return pump(uploads, now_ms);
}

int uploads_receipt(const struct uploads *uploads, uint32_t ticket, const char **number)
{
    const struct upload *upload = find(uploads, ticket);

    *number = NULL;
    if (!upload)
        return UPLOAD_NO_SUCH;
    if (upload->stage == STAGE_DONE)
        *number = upload->number;
    else if (upload->stage != STAGE_SENDING || upload->next_in != upload->bundle.chunks)
        return UPLOAD_ORDER;
    return 0;
}

void uploads_end(struct uploads *uploads, uint32_t ticket, int64_t now_ms)
{
    struct upload *upload = find(uploads, ticket);
    struct aborting *aborting = free_aborting(uploads); /* may_begin saw to it that there is one */

    if (!upload)
        return;
    if (upload->stage != STAGE_OFFERED && upload->stage != STAGE_DONE && aborting &&
        send_text(uploads, wire_write_bundle_abort(upload->bundle.ticket)) == 0) {
        aborting->used = true;
        memcpy(aborting->id, upload->bundle.ticket, WIRE_TICKET_SIZE);
        aborting->deadline_ms = now_ms + UPLOAD_ANSWER_MS;
    }
    release(upload);
}

/* Not under way any more; the ticket program may begin it again. */
static void fail(struct uploads *uploads, struct upload *upload, const char *code, const char *text)
{
    upload->stage = STAGE_OFFERED;
    drop_held(upload);
    upload->next_in = upload->next_out = upload->acked = 0;
    upload->deadline_ms = NEVER;
    tell(uploads, upload, UPLOAD_FAILED, code, text);
}

void uploads_forget(struct uploads *uploads)
{
    for (size_t i = 0; i < UPLOAD_OFFERS_MAX; i++) {
        struct upload *upload = &uploads->slots[i];

        if (upload->stage > STAGE_OFFERED && upload->stage != STAGE_DONE)
            fail(uploads, upload, "not_approved", "the console withdrew its approval");
    }
    memset(uploads->aborting, 0, sizeof uploads->aborting);
}

static int on_digests(struct uploads *uploads, struct upload *upload, uint32_t next, int64_t now_ms)
{
    if (upload->stage != STAGE_BEGUN || next >= upload->bundle.chunks)
        return UPLOAD_ORDER;
    while (next < upload->bundle.chunks) {
        uint32_t left = upload->bundle.chunks - next;
        uint32_t count = left < WIRE_DIGESTS_MAX ? left : WIRE_DIGESTS_MAX;
        int rc = send_binary(uploads, WIRE_KIND_DIGESTS, upload, next,
                             upload->digests + (size_t)next * WIRE_DIGEST_SIZE,
                             (size_t)count * WIRE_DIGEST_SIZE);

        if (rc < 0)
            return rc;
        next += count;
    }
    upload->stage = STAGE_DIGESTS;
    upload->deadline_ms = now_ms + UPLOAD_ANSWER_MS;
    return 0;
}

static int on_ready(struct uploads *uploads, struct upload *upload, uint32_t have)
{
    if ((upload->stage != STAGE_BEGUN && upload->stage != STAGE_DIGESTS) ||
        have >= upload->bundle.chunks)
        return UPLOAD_ORDER;
    upload->stage = STAGE_SENDING;
    upload->next_in = upload->next_out = upload->acked = have;
    upload->deadline_ms = NEVER;
    tell(uploads, upload, UPLOAD_READY, NULL, NULL);
    return 0;
}

static int on_acknowledged(struct uploads *uploads, struct upload *upload, uint32_t index,
                           int64_t now_ms)
{
    if (upload->stage != STAGE_SENDING || index >= upload->next_out)
        return UPLOAD_ORDER;
    if (index < upload->acked)
        return 0;
    upload->acked = index + 1;
    upload->deadline_ms = now_ms + UPLOAD_ANSWER_MS;
    if (upload->acked == upload->next_out && upload->next_out < upload->bundle.chunks)
        upload->deadline_ms = NEVER; /* it is the ticket program's turn */
    return pump(uploads, now_ms);
}

static int on_done(struct uploads *uploads, struct upload *upload, const char *number)
{
    bool complete = upload->stage == STAGE_SENDING && upload->next_out == upload->bundle.chunks;

    if (upload->stage != STAGE_BEGUN && !complete)
        return UPLOAD_ORDER;
    strcpy(upload->number, number);
    upload->deadline_ms = NEVER;
    upload->acked = upload->next_in = upload->next_out = upload->bundle.chunks;
    upload->stage = STAGE_DONE;
    tell(uploads, upload, UPLOAD_DONE, NULL, NULL);
    return 0;
}

/* Answers that crossed our bundle_abort are stale; its own answers end the matter. */
static int on_aborting(struct aborting *aborting, const struct wire_message *message)
{
    bool refused = message->type == WIRE_ERROR && (strcmp(message->code, "storage") == 0 ||
                                                   strcmp(message->code, "not_approved") == 0);

    if (message->type == WIRE_BUNDLE_ABORTED || message->type == WIRE_BUNDLE_DONE || refused)
        aborting->used = false;
    return 0;
}

int uploads_receive(struct uploads *uploads, const struct wire_message *message, int64_t now_ms)
{
    struct upload *upload = find_by_id(uploads, message->ticket);
    struct aborting *aborting = find_aborting(uploads, message->ticket);

    if (aborting)
        return on_aborting(aborting, message);
    if (!upload || upload->stage == STAGE_DONE)
        return UPLOAD_ORDER;
    switch (message->type) {
    case WIRE_BUNDLE_DIGESTS:
        return on_digests(uploads, upload, message->index, now_ms);
    case WIRE_BUNDLE_READY:
        return on_ready(uploads, upload, message->index);
    case WIRE_CHUNK:
        return on_acknowledged(uploads, upload, message->index, now_ms);
    case WIRE_BUNDLE_DONE:
        return on_done(uploads, upload, message->number);
    case WIRE_ERROR:
        fail(uploads, upload, message->code, message->text);
        return 0;
    default:
        return UPLOAD_ORDER;
    }
}

int64_t uploads_deadline_ms(const struct uploads *uploads)
{
    int64_t deadline = NEVER;
    bool paced = uploads->sent_in_second >= UPLOAD_CHUNKS_PER_S;

    for (size_t i = 0; i < UPLOAD_OFFERS_MAX; i++) {
        const struct upload *upload = &uploads->slots[i];

        if (upload->stage == STAGE_FREE)
            continue;
        if (upload->deadline_ms < deadline)
            deadline = upload->deadline_ms;
        if (held_count(upload) > 0 && paced && uploads->second_since_ms + 1000 < deadline)
            deadline = uploads->second_since_ms + 1000;
    }
    for (size_t i = 0; i < UPLOAD_ABORTS_MAX; i++)
        if (uploads->aborting[i].used && uploads->aborting[i].deadline_ms < deadline)
            deadline = uploads->aborting[i].deadline_ms;
    return deadline;
}

static bool is_overdue(const struct uploads *uploads, int64_t now_ms)
{
    for (size_t i = 0; i < UPLOAD_OFFERS_MAX; i++)
        if (uploads->slots[i].stage != STAGE_FREE && now_ms >= uploads->slots[i].deadline_ms)
            return true;
    for (size_t i = 0; i < UPLOAD_ABORTS_MAX; i++)
        if (uploads->aborting[i].used && now_ms >= uploads->aborting[i].deadline_ms)
            return true;
    return false;
}

bool uploads_tick(struct uploads *uploads, int64_t now_ms, struct fault *fault)
{
    int rc = pump(uploads, now_ms);

    if (rc < 0 && rc != -EPIPE) {
        fault_set(fault, FAULT_LOCAL, "a chunk: %s", strerror(-rc));
        return false;
    }
    if (is_overdue(uploads, now_ms)) {
        fault_set(fault, FAULT_PHASE_TIMEOUT, "the console did not answer for a bundle within %d s",
                  UPLOAD_ANSWER_MS / 1000);
        return false;
    }
    return true;
}

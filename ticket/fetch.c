#include "fetch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "listing.h"
#include "seal.h"

/* Below the schema's quotas (FrameFetch 2000/s, FrameList 50/s), whose misuse ends the ticket. */
#define ASKS_PER_SECOND  900
#define LISTS_PER_SECOND 20
#define RETRY_MS         200

struct fetch {
    struct agent *agent;
    struct review *review;
    struct pipeline *pipeline;
    struct seal *seal;
    enum fetch_state state;
    char why[192];
    uint32_t request; /* under way; 0: none */
    uint64_t second;  /* the second in which `asked` were sent */
    uint32_t asked;
    uint64_t not_before_ms;
    uint64_t now_ms;
    uint64_t after;       /* of the listing under way */
    size_t index;         /* of the frame under way */
    uint32_t part, parts; /* parts is 0 until the first part has come */
    struct locked_bytes record;
    struct locked_bytes listing;
};

/* What was not fetched will not come. */
static void end(struct fetch *fetch, enum fetch_state state, const char *why)
{
    for (size_t i = fetch->index; i < review_count(fetch->review); i++)
        pipeline_lose(fetch->pipeline, i);
    fetch->index = review_count(fetch->review);
    locked_bytes_clear(&fetch->record);
    locked_bytes_clear(&fetch->listing);
    fetch->seal = seal_free(fetch->seal);
    fetch->request = 0;
    fetch->state = state;
    snprintf(fetch->why, sizeof(fetch->why), "%s", why);
}

static void ask(struct fetch *fetch, uint16_t number, const void *body)
{
    if (agent_ask(fetch->agent, number, body, NULL, 0, &fetch->request))
        end(fetch, FETCH_ENDED, "the agent is gone");
    fetch->asked++;
}

int fetch_new(struct fetch **out, struct agent *agent, struct review *review,
              struct pipeline *pipeline)
{
    struct fetch *fetch = calloc(1, sizeof(*fetch));
    if (!fetch)
        return -ENOMEM;
    fetch->agent = agent;
    fetch->review = review;
    fetch->pipeline = pipeline;
    ipc_SessionKey key = ipc_SessionKey_init_zero;
    int result = seal_offer(&fetch->seal, key.public_key);
    if (result) {
        fetch_free(fetch);
        return result;
    }
    ask(fetch, IPC_SESSION_KEY, &key);
    *out = fetch;
    return 0;
}

struct fetch *fetch_free(struct fetch *fetch)
{
    if (!fetch)
        return NULL;
    seal_free(fetch->seal);
    locked_bytes_clear(&fetch->record);
    locked_bytes_clear(&fetch->listing);
    free(fetch);
    return NULL;
}

static void on_key(struct fetch *fetch, const struct message *message)
{
    ipc_SessionKeyReply reply;
    if (message->envelope.number != IPC_SESSION_KEY_REPLY ||
        envelope_decode(&message->envelope, &reply) != ENVELOPE_OK ||
        seal_complete(fetch->seal, agent_config(fetch->agent)->number, reply.public_key) != 0)
        end(fetch, FETCH_ENDED, "no key could be agreed on with capture");
    else
        fetch->state = FETCH_LISTING;
}

/* Reads the entries of an opened listing into the review. Returns 0, or 1 if they are no good. */
static int read_listing(struct fetch *fetch, size_t length, uint32_t frames)
{
    size_t at = 0;
    uint32_t count = 0;
    while (at < length) {
        struct frame_info info;
        uint32_t record_length;
        if (listing_next(fetch->listing.data, length, &at, &info, &record_length) != FRAME_OK)
            return 1;
        int result = review_add(fetch->review, &info, record_length);
        if (result == REVIEW_FULL)
            return 0; /* the oldest are here; more than anybody reviews */
        if (result)
            return 1;
        fetch->after = info.id;
        count++;
    }
    return count != frames;
}

static void on_listing(struct fetch *fetch, const struct message *message)
{
    ipc_FrameListing head;
    const struct envelope *e = &message->envelope;
    if (e->number != IPC_FRAME_LISTING || envelope_decode(e, &head) != ENVELOPE_OK ||
        e->blob_length < SEAL_OVERHEAD) {
        end(fetch, FETCH_ENDED, "capture's listing makes no sense");
        return;
    }
    const struct seal_label label = {
        .kind = SEAL_LISTING, .frame = fetch->after, .number = head.frames, .total = head.more};
    if (locked_bytes_reserve(&fetch->listing, e->blob_length)) {
        end(fetch, FETCH_ENDED, "out of locked memory");
        return;
    }
    uint64_t after = fetch->after;
    if (seal_open(fetch->seal, &label, e->blob, e->blob_length, fetch->listing.data,
                  fetch->listing.capacity) != SEAL_OK ||
        read_listing(fetch, e->blob_length - SEAL_OVERHEAD, head.frames))
        end(fetch, FETCH_ENDED, "capture's listing was changed on the way");
    else if (!head.more || fetch->after == after ||
             review_count(fetch->review) == REVIEW_FRAMES_MAX)
        fetch->state = FETCH_RECORDS;
}

static void next_record(struct fetch *fetch)
{
    locked_bytes_clear(&fetch->record);
    fetch->part = fetch->parts = 0;
    fetch->index++;
}

/* Opens a part behind those that came. Returns 0, or 1 if it is no good. */
static int open_part(struct fetch *fetch, const ipc_FramePart *head, const struct envelope *e)
{
    const struct review_frame *frame = review_frame(fetch->review, fetch->index);
    if (head->frame != frame->info.id || head->part != fetch->part || head->part >= head->parts ||
        (fetch->parts && head->parts != fetch->parts) || e->blob_length <= SEAL_OVERHEAD ||
        e->blob_length - SEAL_OVERHEAD > frame->record_bytes - fetch->record.length)
        return 1;
    if (locked_bytes_reserve(&fetch->record, frame->record_bytes))
        return 1;
    const struct seal_label label = {
        .kind = SEAL_PART, .frame = head->frame, .number = head->part, .total = head->parts};
    if (seal_open(fetch->seal, &label, e->blob, e->blob_length,
                  fetch->record.data + fetch->record.length,
                  fetch->record.capacity - fetch->record.length) != SEAL_OK)
        return 1;
    fetch->record.length += e->blob_length - SEAL_OVERHEAD;
    fetch->parts = head->parts;
    fetch->part++;
    return 0;
}

static void on_part(struct fetch *fetch, const struct message *message)
{
    ipc_FramePart head;
    const struct envelope *e = &message->envelope;
    if (e->number != IPC_FRAME_PART || envelope_decode(e, &head) != ENVELOPE_OK ||
        open_part(fetch, &head, e)) {
        end(fetch, FETCH_ENDED, "a frame was changed on the way from capture");
        return;
    }
    if (fetch->part == fetch->parts) {
        pipeline_record(fetch->pipeline, fetch->index, &fetch->record);
        next_record(fetch);
    }
}

static void on_refused(struct fetch *fetch, const struct message *message)
{
    ipc_Refused refused;
    if (envelope_decode(&message->envelope, &refused) != ENVELOPE_OK) {
        end(fetch, FETCH_ENDED, "the agent's answer makes no sense");
    } else if (refused.reason == ipc_RefusalReason_NO_SUCH && fetch->state == FETCH_RECORDS) {
        /* It left the ring since it was listed. */
        pipeline_lose(fetch->pipeline, fetch->index);
        next_record(fetch);
    } else if (refused.reason == ipc_RefusalReason_BUSY && fetch->state != FETCH_AGREEING) {
        fetch->not_before_ms = fetch->now_ms + RETRY_MS;
    } else {
        end(fetch, FETCH_ENDED, refused.detail[0] ? refused.detail : "capture does not answer");
    }
}

bool fetch_message(struct fetch *fetch, const struct message *message)
{
    if (fetch->request == 0 || message->envelope.request != fetch->request)
        return false;
    fetch->request = 0;
    if (message->envelope.number == IPC_REFUSED)
        on_refused(fetch, message);
    else if (fetch->state == FETCH_AGREEING)
        on_key(fetch, message);
    else if (fetch->state == FETCH_LISTING)
        on_listing(fetch, message);
    else
        on_part(fetch, message);
    return true;
}

static void ask_next(struct fetch *fetch)
{
    if (fetch->state == FETCH_RECORDS && fetch->index == review_count(fetch->review)) {
        end(fetch, FETCH_DONE, "");
    } else if (fetch->state == FETCH_RECORDS) {
        ipc_FrameFetch body = {.frame = review_frame(fetch->review, fetch->index)->info.id,
                               .part = fetch->part};
        ask(fetch, IPC_FRAME_FETCH, &body);
    } else if (fetch->state == FETCH_LISTING) {
        ipc_FrameList body = {.after = fetch->after};
        ask(fetch, IPC_FRAME_LIST, &body);
    }
}

int fetch_tick(struct fetch *fetch, uint64_t now_ms)
{
    fetch->now_ms = now_ms;
    if (fetch->request || fetch->state >= FETCH_DONE)
        return -1;
    if (now_ms < fetch->not_before_ms)
        return (int)(fetch->not_before_ms - now_ms);
    if (now_ms / 1000 != fetch->second) {
        fetch->second = now_ms / 1000;
        fetch->asked = 0;
    }
    /* A window of the broker's may begin in the middle of ours: hence well below its limits. */
    if (fetch->asked >= (fetch->state == FETCH_LISTING ? LISTS_PER_SECOND : ASKS_PER_SECOND))
        return (int)(1000 - now_ms % 1000);
    ask_next(fetch);
    return -1;
}

enum fetch_state fetch_state(const struct fetch *fetch)
{
    return fetch->state;
}

const char *fetch_why(const struct fetch *fetch)
{
    return fetch->why;
}

#include "streams.h"

#include <string.h>

void streams_begin(struct streams *streams, uint8_t *memory, uint64_t limit)
{
    memset(streams, 0, offsetof(struct streams, scratch));
    /* The last that is given back is the first that is taken: few pages are ever touched. */
    for (size_t i = STREAMS_SLOTS + STREAMS_SPARE; i > 0; i--)
        streams->free_slots[streams->free_count++] = memory + (i - 1) * STREAMS_CHUNK;
    for (int i = 0; i < STREAMS; i++)
        digest_begin(&streams->stream[i].digest);
    streams->left = limit;
    streams->sending = true;
}

/* ---------------------------------------------------------------- reading */

/* Takes a free slot, but not the last one from a stream that has none. */
static uint8_t *take_slot(struct streams *streams, struct stream *stream)
{
    const struct stream *other = &streams->stream[stream == &streams->stream[STREAM_OUT]];
    size_t kept_back = streams->ended ? 0 : STREAMS_SPARE;
    if (!other->closed && other->slots == 0)
        kept_back++;
    if (streams->free_count <= kept_back)
        return NULL;
    stream->slots++;
    return streams->free_slots[--streams->free_count];
}

static void give_slot(struct streams *streams, struct stream *stream, uint8_t *slot)
{
    stream->slots--;
    streams->free_slots[streams->free_count++] = slot;
}

size_t streams_room(struct streams *streams, enum stream_name name, uint8_t **at)
{
    struct stream *stream = &streams->stream[name];
    if (stream->closed)
        return 0;
    if (streams->left == 0) {
        *at = streams->scratch;
        return sizeof streams->scratch;
    }
    if (!stream->open && !(stream->open = take_slot(streams, stream)))
        return 0;
    *at = stream->open + stream->used;
    return STREAMS_CHUNK - stream->used;
}

/* Makes a chunk of what is in the open slot. */
static void close_chunk(struct streams *streams, enum stream_name name)
{
    struct stream *stream = &streams->stream[name];
    streams->chunks[streams->chunk_count++] = (struct chunk){
        .bytes = stream->open,
        .length = stream->used,
        .index = stream->next_index++,
        .stream = name,
    };
    stream->open = NULL;
    stream->used = 0;
}

void streams_add(struct streams *streams, enum stream_name name, size_t length, int64_t now_ms)
{
    struct stream *stream = &streams->stream[name];
    uint32_t kept = (uint32_t)(length < streams->left ? length : streams->left);
    stream->dropped += length - kept;
    if (kept == 0)
        return;
    digest_add(&stream->digest, stream->open + stream->used, kept);
    if (stream->used == 0)
        stream->since = now_ms;
    stream->used += kept;
    stream->kept += kept;
    streams->left -= kept;
    if (stream->used == STREAMS_CHUNK)
        close_chunk(streams, name);
}

void streams_close(struct streams *streams, enum stream_name name)
{
    struct stream *stream = &streams->stream[name];
    if (stream->used > 0)
        close_chunk(streams, name);
    if (stream->open)
        give_slot(streams, stream, stream->open);
    stream->open = NULL;
    stream->closed = true;
}

void streams_end(struct streams *streams)
{
    streams->ended = true;
}

/* ---------------------------------------------------------------- sending */

static void free_chunk(struct streams *streams, size_t i)
{
    struct chunk *chunk = &streams->chunks[i];
    size_t behind = --streams->chunk_count - i;
    /* The memory is the caller's, and was writable when it came. */
    give_slot(streams, &streams->stream[chunk->stream], (uint8_t *)(uintptr_t)chunk->bytes);
    memmove(chunk, chunk + 1, behind * sizeof *chunk);
}

static bool can_send(const struct streams *streams)
{
    return streams->sending && streams->under_way + streams->stale_count < STREAMS_WINDOW;
}

static struct chunk *first_unsent(struct streams *streams)
{
    for (size_t i = 0; i < streams->chunk_count; i++)
        if (streams->chunks[i].request == 0)
            return &streams->chunks[i];
    return NULL;
}

/* The stream whose unfinished chunk is the oldest, or STREAMS. */
static enum stream_name oldest_open(const struct streams *streams)
{
    enum stream_name oldest = STREAMS;
    for (enum stream_name i = STREAM_OUT; i < STREAMS; i++) {
        const struct stream *stream = &streams->stream[i];
        if (stream->used > 0 &&
            (oldest == STREAMS || stream->since < streams->stream[oldest].since))
            oldest = i;
    }
    return oldest;
}

int64_t streams_due_ms(const struct streams *streams)
{
    enum stream_name oldest = oldest_open(streams);
    if (oldest == STREAMS || !can_send(streams))
        return STREAMS_NEVER;
    return streams->stream[oldest].since + STREAMS_PAUSE_MS;
}

struct chunk *streams_next(struct streams *streams, int64_t now_ms)
{
    if (!can_send(streams))
        return NULL;
    struct chunk *chunk = first_unsent(streams);
    if (chunk || streams_due_ms(streams) > now_ms)
        return chunk;
    close_chunk(streams, oldest_open(streams));
    return first_unsent(streams);
}

void streams_sent(struct streams *streams, struct chunk *chunk, uint32_t request)
{
    chunk->request = request;
    chunk->sent = true;
    streams->under_way++;
}

/* The chunk that is under way under that number, or the count of them. */
static size_t chunk_of(const struct streams *streams, uint32_t request)
{
    size_t i = 0;
    while (i < streams->chunk_count && streams->chunks[i].request != request)
        i++;
    return request == 0 ? streams->chunk_count : i;
}

/* Whether that one was unanswered from before; it is now. */
static bool was_stale(struct streams *streams, uint32_t request)
{
    for (size_t i = 0; i < streams->stale_count; i++)
        if (streams->stale[i] == request) {
            streams->stale[i] = streams->stale[--streams->stale_count];
            return true;
        }
    return false;
}

/* What is under way is so no more; its answers are still to come. */
static void recall(struct streams *streams)
{
    for (size_t i = 0; i < streams->chunk_count; i++) {
        struct chunk *chunk = &streams->chunks[i];
        if (chunk->request != 0)
            streams->stale[streams->stale_count++] = chunk->request;
        chunk->request = 0;
    }
    streams->under_way = 0;
}

bool streams_taken(struct streams *streams, uint32_t request)
{
    size_t i = chunk_of(streams, request);
    if (i == streams->chunk_count)
        return was_stale(streams, request);
    streams->under_way--;
    free_chunk(streams, i);
    return true;
}

bool streams_refused(struct streams *streams, uint32_t request)
{
    size_t i = chunk_of(streams, request);
    if (i == streams->chunk_count)
        return was_stale(streams, request);
    streams->under_way--;
    streams->chunks[i].request = 0;
    streams->sending = false;
    return true;
}

void streams_resume(struct streams *streams, uint32_t out_next, uint32_t err_next)
{
    const uint32_t next[STREAMS] = {out_next, err_next};
    recall(streams);
    for (size_t i = streams->chunk_count; i > 0; i--) {
        const struct chunk *chunk = &streams->chunks[i - 1];
        if (chunk->sent && chunk->index < next[chunk->stream])
            free_chunk(streams, i - 1);
    }
    streams->sending = true;
}

void streams_give_up(struct streams *streams)
{
    for (enum stream_name i = STREAM_OUT; i < STREAMS; i++)
        if (streams->stream[i].used > 0)
            close_chunk(streams, i);
    recall(streams);
    while (streams->chunk_count > 0)
        free_chunk(streams, streams->chunk_count - 1);
    streams->sending = false;
    streams->left = 0;
}

/* ---------------------------------------------------------------- how it stands */

bool streams_overflowed(const struct streams *streams)
{
    return streams->stream[STREAM_OUT].dropped > 0 || streams->stream[STREAM_ERR].dropped > 0;
}

bool streams_closed(const struct streams *streams)
{
    return streams->stream[STREAM_OUT].closed && streams->stream[STREAM_ERR].closed;
}

bool streams_done(const struct streams *streams)
{
    return streams_closed(streams) && streams->chunk_count == 0;
}

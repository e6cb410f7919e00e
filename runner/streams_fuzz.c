/*
 * A command that writes and a console that takes, refuses and comes back, in any order. What must
 * hold: the console ends up with exactly what was kept, in order, each chunk always with the same
 * borders; no more is under way or held than may be.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "streams.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INDEXES    4096
#define LIMIT      (3u << 20)
#define UNANSWERED 64

static uint8_t *memory;
static struct streams streams;

/* What the world outside the streams knows. */
static struct {
    int64_t now;
    uint32_t requests;
    uint32_t unanswered[UNANSWERED];
    size_t unanswered_count;
    uint8_t value[STREAMS];            /* of the next byte that is written */
    uint32_t closed[STREAMS];          /* chunks whose length is known */
    uint32_t length[STREAMS][INDEXES]; /* of each */
    uint8_t first[STREAMS][INDEXES];   /* byte of each */
    uint64_t written[STREAMS];
} world;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    memory = malloc(STREAMS_MEMORY);
    return !memory || sodium_init() < 0;
}

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void write_some(enum stream_name name, size_t length)
{
    uint8_t *at;
    size_t room = streams_room(&streams, name, &at);
    if (length > room)
        length = room;
    if (length == 0)
        return;
    for (size_t i = 0; i < length; i += 64) /* marks enough to tell chunks apart */
        at[i] = world.value[name]++;
    world.written[name] += length;
    streams_add(&streams, name, length, world.now);
}

static void send_all(void)
{
    struct chunk *chunk;
    while ((chunk = streams_next(&streams, world.now))) {
        enum stream_name s = chunk->stream;
        must(world.unanswered_count < STREAMS_WINDOW);
        must(chunk->request == 0 && chunk->length >= 1 && chunk->length <= STREAMS_CHUNK);
        must(chunk->index < INDEXES && chunk->index <= world.closed[s]);
        if (chunk->index == world.closed[s]) {
            world.length[s][chunk->index] = chunk->length;
            world.first[s][chunk->index] = chunk->bytes[0];
            world.closed[s]++;
        }
        must(world.length[s][chunk->index] == chunk->length);
        must(world.first[s][chunk->index] == chunk->bytes[0]);
        streams_sent(&streams, chunk, ++world.requests);
        world.unanswered[world.unanswered_count++] = world.requests;
    }
}

static void answer(uint8_t which, bool take)
{
    if (world.unanswered_count == 0)
        return;
    size_t i = which % world.unanswered_count;
    uint32_t request = world.unanswered[i];
    world.unanswered[i] = world.unanswered[--world.unanswered_count];
    must(take ? streams_taken(&streams, request) : streams_refused(&streams, request));
}

static void step(uint8_t action, uint8_t value)
{
    enum stream_name name = action & 0x80 ? STREAM_ERR : STREAM_OUT;
    switch (action % 9) {
    case 0:
        write_some(name, value);
        break;
    case 1:
        write_some(name, (size_t)value * 4096);
        break;
    case 2:
        world.now += value;
        break;
    case 3:
        send_all();
        break;
    case 4:
        answer(value, true);
        break;
    case 5:
        answer(value, false);
        break;
    case 6:
        streams_resume(&streams, value / 16, value % 16);
        break;
    case 7:
        if (value > 250)
            streams_close(&streams, name);
        break;
    default:
        if (value > 250)
            streams_end(&streams);
        must(!streams_taken(&streams, world.requests + 1 + value));
    }
}

/* Everything adds up at every moment. */
static void check(void)
{
    size_t open = 0;
    uint64_t kept = 0;
    for (int i = 0; i < STREAMS; i++) {
        const struct stream *stream = &streams.stream[i];
        open += stream->open != NULL;
        kept += stream->kept;
        must(stream->kept + stream->dropped == world.written[i]);
    }
    must(open + streams.chunk_count + streams.free_count == STREAMS_SLOTS + STREAMS_SPARE);
    must(streams.ended || open + streams.chunk_count <= STREAMS_SLOTS);
    must(kept + streams.left == LIMIT);
    must(streams.under_way + streams.stale_count == world.unanswered_count);
}

/* A console that takes everything ends it. */
static void finish(void)
{
    streams_close(&streams, STREAM_OUT);
    streams_close(&streams, STREAM_ERR);
    for (int i = 0; i < 1000 && !streams_done(&streams); i++) {
        while (world.unanswered_count > 0)
            answer(0, true);
        streams_resume(&streams, 0, 0);
        send_all();
    }
    must(streams_done(&streams));
    must(streams.free_count == STREAMS_SLOTS + STREAMS_SPARE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memset(&world, 0, sizeof world);
    streams_begin(&streams, memory, LIMIT);
    for (size_t i = 0; i + 1 < size && i < 2 * INDEXES; i += 2) {
        step(data[i], data[i + 1]);
        check();
    }
    finish();
    return 0;
}

#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NEVER INT64_MAX

static const enum wire_kind kinds[OUTPUT_STREAMS] = {
    [OUTPUT_STDOUT] = WIRE_KIND_STDOUT,
    [OUTPUT_STDERR] = WIRE_KIND_STDERR,
};

void output_begin(struct output *output, const uint8_t token[WIRE_TOKEN_SIZE],
                  uint32_t stdout_count, uint32_t stderr_count)
{
    const uint32_t counts[OUTPUT_STREAMS] = {stdout_count, stderr_count};

    memset(output, 0, sizeof *output);
    memcpy(output->token, token, WIRE_TOKEN_SIZE);
    output->deadline_ms = NEVER;
    for (int i = 0; i < OUTPUT_STREAMS; i++) {
        output->streams[i].acked = counts[i];
        output->streams[i].out = counts[i];
        output->streams[i].in = counts[i];
    }
}

/* A chunk that the runner hands in once more, because it was told that nobody answered. */
static struct output_chunk *find(struct output *output, enum output_stream stream, uint32_t index)
{
    for (size_t i = 0; i < output->count; i++)
        if (output->chunks[i].stream == stream && output->chunks[i].index == index)
            return &output->chunks[i];
    return NULL;
}

static void refuse(struct output_chunk *chunk, const struct output_callbacks *callbacks, void *user,
                   enum output_refusal why)
{
    if (chunk->request != 0)
        callbacks->refused(user, chunk->request, why);
    chunk->request = 0;
}

static bool add(struct output *output, uint32_t request, enum output_stream stream, uint32_t index,
                const void *bytes, size_t length, int64_t now_ms)
{
    struct output_chunk *chunk = &output->chunks[output->count];
    uint8_t *frame = malloc(WIRE_HEADER_SIZE + length);

    if (!frame)
        return false;
    wire_write_header(frame, kinds[stream], output->token, index);
    memcpy(frame + WIRE_HEADER_SIZE, bytes, length);
    *chunk = (struct output_chunk){.request = request,
                                   .stream = stream,
                                   .index = index,
                                   .since_ms = now_ms,
                                   .frame = frame,
                                   .length = WIRE_HEADER_SIZE + length};
    output->count++;
    output->streams[stream].in = index + 1;
    output->streams[stream].leapt = false;
    return true;
}

/* Whether there is a gap before this chunk that the runner may still fill. */
static bool is_early(struct output *output, enum output_stream stream, uint32_t index)
{
    bool again = output->streams[stream].leapt && index == output->streams[stream].leap;

    if (index <= output->streams[stream].in || again)
        return false;
    if (!output->streams[stream].leapt || index < output->streams[stream].leap)
        output->streams[stream].leap = index;
    output->streams[stream].leapt = true;
    return true;
}

void output_hand_in(struct output *output, const struct output_callbacks *callbacks, void *user,
                    uint32_t request, enum output_stream stream, uint32_t index, const void *bytes,
                    size_t length, int64_t now_ms)
{
    struct output_chunk *known = find(output, stream, index);

    if (known) {
        refuse(known, callbacks, user, OUTPUT_BUSY);
        known->request = request;
        known->since_ms = now_ms;
    } else if (index < output->streams[stream].acked) {
        callbacks->taken(user, request);
    } else if (length == 0 || length > WIRE_OUTPUT_MAX || index < output->streams[stream].in ||
               index == UINT32_MAX) {
        callbacks->refused(user, request, OUTPUT_ORDER);
    } else if (output->count == WIRE_OUTPUT_WINDOW || is_early(output, stream, index) ||
               !add(output, request, stream, index, bytes, length, now_ms)) {
        callbacks->refused(user, request, OUTPUT_BUSY);
    }
}

int output_pump(struct output *output, const struct output_callbacks *callbacks, void *user,
                struct output_pace *pace, int64_t now_ms)
{
    if (now_ms - pace->second_since_ms >= 1000)
        *pace = (struct output_pace){.second_since_ms = now_ms};
    while (output->sent < output->count && pace->sent < OUTPUT_CHUNKS_PER_S &&
           callbacks->queued(user) <= OUTPUT_QUEUE_MAX) {
        struct output_chunk *chunk = &output->chunks[output->sent];
        int rc = callbacks->send_binary(user, chunk->frame, chunk->length);

        if (rc < 0)
            return rc;
        free(chunk->frame);
        chunk->frame = NULL;
        output->streams[chunk->stream].out = chunk->index + 1;
        if (output->sent++ == 0)
            output->deadline_ms = now_ms + OUTPUT_ANSWER_MS;
        pace->sent++;
    }
    return 0;
}

/* Answers and forgets those sent chunks that the console has. Returns how many. */
static size_t answer(struct output *output, const struct output_callbacks *callbacks, void *user,
                     int64_t now_ms)
{
    size_t kept = 0, sent = output->sent;

    for (size_t i = 0; i < output->count; i++) {
        struct output_chunk *chunk = &output->chunks[i];

        if (i >= sent || chunk->index >= output->streams[chunk->stream].acked) {
            output->chunks[kept++] = *chunk;
            continue;
        }
        output->late = output->late || now_ms - chunk->since_ms >= OUTPUT_LATE_MS;
        output->sent--;
        if (chunk->request != 0)
            callbacks->taken(user, chunk->request);
    }
    output->count = kept;
    return sent - output->sent;
}

bool output_acknowledge(struct output *output, const struct output_callbacks *callbacks, void *user,
                        uint32_t stdout_count, uint32_t stderr_count, int64_t now_ms)
{
    const uint32_t counts[OUTPUT_STREAMS] = {stdout_count, stderr_count};

    for (int i = 0; i < OUTPUT_STREAMS; i++)
        if (counts[i] > output->streams[i].out)
            return false;
    for (int i = 0; i < OUTPUT_STREAMS; i++)
        if (counts[i] > output->streams[i].acked)
            output->streams[i].acked = counts[i];
    if (answer(output, callbacks, user, now_ms) > 0)
        output->deadline_ms = output->sent > 0 ? now_ms + OUTPUT_ANSWER_MS : NEVER;
    return true;
}

bool output_should_give_back(const struct output *output, int64_t now_ms)
{
    if (output->orphaned)
        return false;
    return output->late || (output->sent < output->count &&
                            now_ms - output->chunks[output->sent].since_ms >= OUTPUT_HELD_MS);
}

void output_give_back(struct output *output, const struct output_callbacks *callbacks, void *user)
{
    for (size_t i = output->sent; i < output->count; i++) {
        refuse(&output->chunks[i], callbacks, user, OUTPUT_BUSY);
        free(output->chunks[i].frame);
    }
    output->count = output->sent;
    output->late = false;
    for (int i = 0; i < OUTPUT_STREAMS; i++)
        output->streams[i].in = output->streams[i].out;
}

void output_end(struct output *output, const struct output_callbacks *callbacks, void *user,
                enum output_refusal why)
{
    for (size_t i = 0; i < output->count; i++) {
        refuse(&output->chunks[i], callbacks, user, why);
        free(output->chunks[i].frame);
    }
    output->count = output->sent = 0;
    output->deadline_ms = NEVER;
    output->late = false;
}

void output_orphan(struct output *output, const struct output_callbacks *callbacks, void *user)
{
    for (size_t i = 0; i < output->count; i++)
        refuse(&output->chunks[i], callbacks, user, OUTPUT_NO_SUCH);
    output->orphaned = true;
}

int64_t output_deadline_ms(const struct output *output, const struct output_pace *pace)
{
    int64_t deadline = output->deadline_ms;

    if (output->sent == output->count)
        return deadline;
    if (!output->orphaned && output->chunks[output->sent].since_ms + OUTPUT_HELD_MS < deadline)
        deadline = output->chunks[output->sent].since_ms + OUTPUT_HELD_MS;
    if (pace->sent >= OUTPUT_CHUNKS_PER_S && pace->second_since_ms + 1000 < deadline)
        deadline = pace->second_since_ms + 1000;
    return deadline;
}

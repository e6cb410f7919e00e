#include "played.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>
#include <sodium.h>

struct order played_order(const char *path, const char *first, const char *second)
{
    struct order order = {.profile = 1, .time_ms = 20000, .output_bytes = 1 << 20};
    memset(order.token, 0xa5, sizeof order.token);
    const char *texts[] = {path, first, second};
    for (int i = 0; i < 3 && texts[i]; i++)
        order.argv[order.argc++] = texts[i];
    return order;
}

struct order played_script(const char *text)
{
    struct order order = played_order(NULL, NULL, NULL);
    order.script = (const uint8_t *)text;
    order.script_length = strlen(text);
    return order;
}

/* ---------------------------------------------------------------- the console's half */

static void take_chunk(struct played *played, const struct message *message)
{
    ipc_OutputChunk chunk;
    static const ipc_OutputTaken taken;
    const struct envelope *e = &message->envelope;
    assert_int_equal(envelope_decode(e, &chunk), ENVELOPE_OK);
    enum stream_name stream =
        chunk.stream == ipc_OutputStream_OUTPUT_STDOUT ? STREAM_OUT : STREAM_ERR;
    assert_true(e->blob_length >= 1 && e->blob_length <= STREAMS_CHUNK);
    if (e->blob_length > played->most)
        played->most = e->blob_length;
    assert_int_equal(chunk.index, played->next[stream]);
    assert_true(e->blob_length <= PLAYED_MAX - played->length[stream]);
    memcpy(played->bytes[stream] + played->length[stream], e->blob, e->blob_length);
    played->length[stream] += e->blob_length;
    played->next[stream]++;
    if (++played->outstanding > played->most_outstanding)
        played->most_outstanding = played->outstanding;
    if (played->hold_chunks) {
        played->held[played->held_count++] = e->request;
        return;
    }
    played->outstanding--;
    launched_say(&played->pair, IPC_OUTPUT_TAKEN, e->request, &taken, NULL, 0);
}

void played_release(struct played *played)
{
    static const ipc_OutputTaken taken;
    for (size_t i = 0; i < played->held_count; i++)
        launched_say(&played->pair, IPC_OUTPUT_TAKEN, played->held[i], &taken, NULL, 0);
    played->outstanding -= (uint32_t)played->held_count;
    played->held_count = 0;
    played->hold_chunks = false;
}

/* ---------------------------------------------------------------- a command's life */

static void finish(struct played *played, const struct message *message)
{
    static const ipc_CommandRecorded recorded;
    assert_false(played->has_finished);
    assert_int_equal(envelope_decode(&message->envelope, &played->finished), ENVELOPE_OK);
    assert_int_equal(played->finished.number, LAUNCHED_NUMBER);
    played->has_finished = true;
    launched_say(&played->pair, IPC_COMMAND_RECORDED, message->envelope.request, &recorded, NULL,
                 0);
}

static void end_output(struct played *played, const struct message *message)
{
    static const ipc_OutputEnded ended;
    assert_true(played->has_finished); /* the receipt comes first */
    assert_int_equal(played->outstanding, 0);
    played->has_ended = true;
    launched_say(&played->pair, IPC_OUTPUT_ENDED, message->envelope.request, &ended, NULL, 0);
}

void played_step(struct played *played)
{
    struct message message;
    launched_receive(&played->pair, &message);
    switch (message.envelope.number) {
    case IPC_COMMAND_FETCH:
        launched_answer_fetch(&played->pair, &message);
        break;
    case IPC_OUTPUT_CHUNK:
        take_chunk(played, &message);
        break;
    case IPC_COMMAND_FINISHED:
        finish(played, &message);
        break;
    case IPC_OUTPUT_END:
        end_output(played, &message);
        break;
    case IPC_OUTPUT_RESUMED:
        break;
    default:
        fail_msg("the runner sends %s", message.envelope.type->name);
    }
    message_free(&message);
}

void played_start(struct played *played, struct order *order)
{
    memset(played, 0, sizeof *played);
    for (int i = 0; i < STREAMS; i++)
        assert_non_null(played->bytes[i] = malloc(PLAYED_MAX));
    launched_prepare(&played->pair, order);
    launched_command(&played->pair);
    launched_runner(&played->pair);
    played_step(played); /* the fetch */
}

/* What the receipt would say of a stream is what the console got. */
static void check_result(const struct played *played, const ipc_StreamResult *result,
                         enum stream_name stream)
{
    uint8_t hash[32];
    crypto_hash_sha256(hash, played->bytes[stream], played->length[stream]);
    assert_int_equal(result->bytes, played->length[stream]);
    assert_memory_equal(result->sha256, hash, sizeof hash);
}

void played_finish(struct played *played)
{
    while (!played->has_ended)
        played_step(played);
    assert_int_equal(launched_wait(&played->pair.runner), 0);
    assert_int_equal(launched_wait(&played->pair.command), 0);
    assert_true(played->finished.has_out && played->finished.has_err);
    check_result(played, &played->finished.out, STREAM_OUT);
    check_result(played, &played->finished.err, STREAM_ERR);
    assert_true(played->finished.started_ms > 0);
    assert_true(played->finished.ended_ms >= played->finished.started_ms);
}

void played_run(struct played *played, struct order *order)
{
    played_start(played, order);
    played_finish(played);
}

void played_end(struct played *played)
{
    launched_remove(&played->pair);
    for (int i = 0; i < STREAMS; i++) {
        free(played->bytes[i]);
        played->bytes[i] = NULL;
    }
}

void played_exited(const struct played *played, uint32_t status)
{
    if (played->finished.end != ipc_CommandEnd_END_EXITED || played->finished.code != status)
        print_error("standard error: %.*s\n", (int)played->length[STREAM_ERR],
                    played->bytes[STREAM_ERR]);
    assert_int_equal(played->finished.end, ipc_CommandEnd_END_EXITED);
    assert_int_equal(played->finished.code, status);
}

void played_wrote(const struct played *played, enum stream_name stream, const char *text)
{
    if (played->length[stream] != strlen(text))
        print_error("it wrote: %.*s\n", (int)played->length[stream], played->bytes[stream]);
    assert_int_equal(played->length[stream], strlen(text));
    assert_memory_equal(played->bytes[stream], text, strlen(text));
}

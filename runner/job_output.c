#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "job.h"

#define READS_A_ROUND 4 /* of one stream, before anything else has its turn */

/* ---------------------------------------------------------------- standard input */

void job_feed(struct job *job)
{
    const struct order *order = &job->order;
    while (job->pipes.in >= 0 && job->fed < order->input_length) {
        ssize_t n = write(job->pipes.in, order->input + job->fed, order->input_length - job->fed);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) /* the command reads no more */
            break;
        job->fed += (size_t)n;
    }
    pipes_close(&job->pipes.in);
    message_free(&job->order_message);
}

/* ---------------------------------------------------------------- output */

static void close_stream(struct job *job, enum stream_name name)
{
    pipes_close(&job->pipes.from[name]);
    streams_close(&job->streams, name);
}

/*
 * Reads once. Returns whether there may be more; at the end of the stream it is closed, and where
 * there is nothing now too if `dead`: then nobody is left who could write more.
 */
static bool read_once(struct job *job, enum stream_name name, size_t most, bool dead)
{
    uint8_t *at;
    size_t room = streams_room(&job->streams, name, &at);
    if (room == 0)
        return false;
    ssize_t n = most > 0 ? read(job->pipes.from[name], at, room < most ? room : most) : 0;
    if (n < 0 && errno == EINTR)
        return true;
    if (n == 0 || (n < 0 && dead))
        close_stream(job, name);
    if (n <= 0)
        return false;
    streams_add(&job->streams, name, (size_t)n, job_now_ms());
    if (dead)
        job->drain[name] -= (size_t)n;
    return true;
}

void job_read(struct job *job, enum stream_name name)
{
    for (int i = 0; i < READS_A_ROUND && job->pipes.from[name] >= 0; i++)
        if (!read_once(job, name, SIZE_MAX, false))
            return;
}

void job_all_dead(struct job *job)
{
    job->due_ms = JOB_NEVER;
    for (enum stream_name i = STREAM_OUT; i < STREAMS; i++)
        if (job->pipes.from[i] >= 0)
            job->drain[i] = (size_t)fcntl(job->pipes.from[i], F_GETPIPE_SZ);
}

void job_drain(struct job *job)
{
    for (enum stream_name i = STREAM_OUT; i < STREAMS; i++)
        while (job->pipes.from[i] >= 0 && read_once(job, i, job->drain[i], true))
            ;
}

/* ---------------------------------------------------------------- chunks */

void job_send(struct job *job)
{
    static const ipc_OutputStream names[] = {
        [STREAM_OUT] = ipc_OutputStream_OUTPUT_STDOUT,
        [STREAM_ERR] = ipc_OutputStream_OUTPUT_STDERR,
    };
    struct chunk *chunk;
    while ((chunk = streams_next(&job->streams, job_now_ms()))) {
        ipc_OutputChunk body = {.stream = names[chunk->stream], .index = chunk->index};
        memcpy(body.token, job->order.token, sizeof body.token);
        uint32_t request =
            worker_request(job->worker, IPC_OUTPUT_CHUNK, &body, chunk->bytes, chunk->length);
        streams_sent(&job->streams, chunk, request);
    }
}

#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "job.h"
#include "log.h"
#include "report.h"

#define BUSY_MS 100

/* ---------------------------------------------------------------- asking */

void job_ask_for_order(struct job *job)
{
    ipc_CommandFetch fetch = {
        .number = job->number,
        .slot = job->grant->slot,
        .generation = job->grant->generation,
    };
    job->phase = JOB_FETCHING;
    job->due_ms = JOB_NEVER; /* the broker sees to it that there is an answer */
    job->fetch = worker_request(job->worker, IPC_COMMAND_FETCH, &fetch, NULL, 0);
}

static void fill_result(ipc_StreamResult *out, const struct stream *stream)
{
    out->bytes = stream->kept;
    out->dropped = stream->dropped;
    digest_value(&stream->digest, out->sha256);
}

static void log_end(const struct job *job)
{
    static const char *const ends[] = {"", "exit", "signal", "not executed: errno", "lost"};
    const struct stream *out = &job->streams.stream[STREAM_OUT];
    const struct stream *err = &job->streams.stream[STREAM_ERR];
    log_info("command %u ended: %s %u; out %llu, err %llu, dropped %llu bytes", job->number,
             ends[job->end], job->code, (unsigned long long)out->kept,
             (unsigned long long)err->kept, (unsigned long long)(out->dropped + err->dropped));
}

void job_finish(struct job *job)
{
    if (job->limit == ipc_CommandLimit_LIMIT_NONE && streams_overflowed(&job->streams))
        job->limit = ipc_CommandLimit_LIMIT_OUTPUT; /* it ended by itself before it was ended */
    ipc_CommandFinished finished = {
        .number = job->number,
        .end = job->end,
        .code = job->code,
        .limit = job->limit,
        .has_out = true,
        .has_err = true,
        .started_ms = job->started_ms,
        .ended_ms = job->ended_ms,
    };
    fill_result(&finished.out, &job->streams.stream[STREAM_OUT]);
    fill_result(&finished.err, &job->streams.stream[STREAM_ERR]);
    report_seal(&finished, job->report_key);
    job->phase = JOB_RECORDING;
    job->finish = worker_request(job->worker, IPC_COMMAND_FINISHED, &finished, NULL, 0);
    log_end(job);
}

void job_leave(struct job *job)
{
    ipc_OutputEnd end;
    memcpy(end.token, job->order.token, sizeof end.token);
    job->phase = JOB_LEAVING;
    job->farewell = worker_request(job->worker, IPC_OUTPUT_END, &end, NULL, 0);
}

/* ---------------------------------------------------------------- answers */

static __attribute__((noreturn)) void not_asked(const struct message *message)
{
    worker_fail(WORKER_EXIT_PROTOCOL, "the broker sent %s, which nothing here asked for",
                message->envelope.type->name);
}

/* Spends the request that this message answers. */
static void expect(uint32_t *request, const struct message *message)
{
    if (*request == 0 || message->envelope.request != *request)
        not_asked(message);
    *request = 0;
}

/* The message is kept until all of it is handed on. */
static void take_order(struct job *job, struct message *message)
{
    ipc_CommandOrder body;
    expect(&job->fetch, message);
    worker_decode(job->worker, message, &body);
    enum order_outcome outcome = order_accept(&job->order, message->envelope.blob,
                                              message->envelope.blob_length, body.tag, job->grant);
    report_key(job->report_key, job->grant->key, body.tag);
    job->grant = secret_free(job->grant);
    if (outcome != ORDER_OK)
        worker_fail(WORKER_EXIT_PROTOCOL, "the order is %s; it is not carried out",
                    order_outcome_name(outcome));
    job->order_message = *message;
    *message = (struct message){0};
    job->streams.left = job->order.output_bytes;
    job_hand_over(job);
}

static void taken(struct job *job, const struct message *message)
{
    if (!streams_taken(&job->streams, message->envelope.request))
        not_asked(message);
}

static void chunk_refused(struct job *job, const struct message *message, const ipc_Refused *why)
{
    if (!streams_refused(&job->streams, message->envelope.request))
        not_asked(message);
    /* A full queue passes by itself; all else does with another uplink, which says so. */
    job->retry_ms = why->reason == ipc_RefusalReason_BUSY ? job_now_ms() + BUSY_MS : JOB_NEVER;
}

static void refused(struct job *job, const struct message *message)
{
    uint32_t request = message->envelope.request;
    ipc_Refused why;
    worker_decode(job->worker, message, &why);
    if (request != 0 && request == job->farewell)
        _exit(WORKER_EXIT_DONE); /* nobody is there to be told */
    if (request != 0 && request == job->fetch)
        worker_fail(WORKER_EXIT_FAILED, "the vault gives no order: %s", why.detail);
    if (request != 0 && request == job->finish)
        worker_fail(WORKER_EXIT_FAILED, "the vault makes no receipt: %s", why.detail);
    chunk_refused(job, message, &why);
}

static void resume(struct job *job, const struct message *message)
{
    static const ipc_OutputResumed resumed;
    ipc_OutputResume from;
    worker_decode(job->worker, message, &from);
    if (job->phase < JOB_HANDING ||
        sodium_memcmp(from.token, job->order.token, sizeof from.token) != 0) {
        worker_refuse(job->worker, message, ipc_RefusalReason_NO_SUCH, "another command runs here");
        return;
    }
    job->retry_ms = JOB_NEVER;
    worker_answer(job->worker, message, IPC_OUTPUT_RESUMED, &resumed, NULL, 0);
    streams_resume(&job->streams, from.out_next, from.err_next);
}

static void handle(struct job *job, struct message *message)
{
    switch (message->envelope.number) {
    case IPC_COMMAND_ORDER:
        take_order(job, message);
        break;
    case IPC_COMMAND_RECORDED:
        expect(&job->finish, message);
        job->phase = JOB_DELIVERING;
        break;
    case IPC_OUTPUT_TAKEN:
        taken(job, message);
        break;
    case IPC_OUTPUT_RESUME:
        resume(job, message);
        break;
    case IPC_OUTPUT_ENDED:
        expect(&job->farewell, message);
        _exit(WORKER_EXIT_DONE);
    case IPC_REFUSED:
        refused(job, message);
        break;
    default:
        not_asked(message);
    }
}

void job_messages(struct job *job)
{
    struct message message;
    while (worker_next(job->worker, &message)) {
        handle(job, &message);
        message_free(&message);
    }
}

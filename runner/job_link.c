#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "job.h"
#include "log.h"

#define HANDING_MS 10000
#define TERM_MS    2000 /* from SIGTERM to SIGKILL */
#define KILL_MS    5000 /* from SIGKILL to the word that all are dead */
#define LOST_MS    2000 /* from the helper's death to that of all others, which the kernel sees to */

/* ---------------------------------------------------------------- the order */

/* All of it is there, and so its time begins. */
static void started(struct job *job)
{
    talk_ordered(&job->talk);
    job->phase = JOB_RUNNING;
    job->due_ms = job_now_ms() + (int64_t)job->order.time_ms;
    job->started_ms = job_unix_ms();
    job_feed(job);
}

static void begin_handing(struct job *job)
{
    const struct envelope *message = &job->order_message.envelope;
    int error = link_send_order(job->link, message->blob_length, job->pipes.theirs);
    if (error)
        worker_fail(WORKER_EXIT_FAILED, "the order cannot be handed over: %s", strerror(-error));
    pipes_given(&job->pipes);
    job->phase = JOB_HANDING;
    job->due_ms = job_now_ms() + HANDING_MS;
    job->started_ms = job_unix_ms();
}

void job_hand_over(struct job *job)
{
    const struct envelope *message = &job->order_message.envelope;
    if (job->phase == JOB_FETCHING)
        begin_handing(job);
    while (job->handed < message->blob_length) {
        ssize_t n = send(job->link, message->blob + job->handed, message->blob_length - job->handed,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* when it takes more, or when its end is seen */
        job->handed += (size_t)n;
    }
    started(job);
}

/* ---------------------------------------------------------------- its end */

static void ended(struct job *job, ipc_CommandEnd end, uint32_t code)
{
    pipes_close(&job->link);
    pipes_close(&job->pipes.in);
    message_free(&job->order_message);
    job->phase = JOB_DRAINING;
    job->end = end;
    job->code = code;
    job->ended_ms = job_unix_ms();
    job->give_up_ms = job_now_ms() + JOB_KEEP_MS;
    streams_end(&job->streams);
    if (end == ipc_CommandEnd_END_LOST)
        job->due_ms = job_now_ms() + LOST_MS;
    else
        job_all_dead(job);
}

static void lost(struct job *job)
{
    if (job->phase < JOB_HANDING)
        worker_fail(WORKER_EXIT_FAILED, "the command's process ended before it had an order");
    log_warning("the command's process is gone without a word");
    ended(job, ipc_CommandEnd_END_LOST, 0);
}

static void heard(struct job *job)
{
    switch (job->talk.phase) {
    case TALK_GREETED:
        if (job->phase == JOB_GREETING)
            job_ask_for_order(job);
        break;
    case TALK_NOT_STARTED:
        ended(job, ipc_CommandEnd_END_NOT_EXECUTED, job->talk.code);
        break;
    case TALK_ENDED:
        ended(job,
              job->talk.end == LINK_EXITED ? ipc_CommandEnd_END_EXITED
                                           : ipc_CommandEnd_END_SIGNALLED,
              job->talk.code);
        break;
    default:
        break;
    }
}

void job_link_ready(struct job *job)
{
    uint8_t bytes[64];
    ssize_t n = recv(job->link, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        lost(job);
        return;
    }
    /* Nobody can say what else it does: it ends with this process. */
    if (talk_feed(&job->talk, bytes, (size_t)n) != 0)
        worker_fail(WORKER_EXIT_FAILED, "the command's process says what it may not");
    heard(job);
}

/* ---------------------------------------------------------------- limits */

static void signal_all(struct job *job, int number, int64_t wait_ms)
{
    /* If it does not reach the helper, the time runs out. */
    (void)link_send(job->link, number == SIGTERM ? LINK_TERMINATE : LINK_KILL, 0, 0);
    job->last_signal = number;
    job->due_ms = job_now_ms() + wait_ms;
}

void job_limit(struct job *job, ipc_CommandLimit limit)
{
    if (job->limit != ipc_CommandLimit_LIMIT_NONE)
        return;
    job->limit = limit;
    log_notice("the command is ended: %s",
               limit == ipc_CommandLimit_LIMIT_TIME ? "its time is over" : "it writes too much");
    signal_all(job, SIGTERM, TERM_MS);
}

void job_on_time(struct job *job)
{
    switch (job->phase) {
    case JOB_RUNNING:
        if (job->last_signal == 0)
            job_limit(job, ipc_CommandLimit_LIMIT_TIME);
        else if (job->last_signal == SIGTERM)
            signal_all(job, SIGKILL, KILL_MS);
        else
            worker_fail(WORKER_EXIT_FAILED, "the command's process does not end");
        return;
    case JOB_DRAINING:
        job_all_dead(job);
        return;
    default:
        worker_fail(WORKER_EXIT_FAILED, "the command's process does not answer");
    }
}

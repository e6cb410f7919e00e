#include "job.h"

#include <time.h>

#define GREETING_MS 15000

static int64_t clock_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t job_now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

uint64_t job_unix_ms(void)
{
    return (uint64_t)clock_ms(CLOCK_REALTIME);
}

/* ---------------------------------------------------------------- waiting */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int timeout_of(const struct job *job)
{
    int64_t due = earlier(earlier(job->due_ms, job->retry_ms),
                          earlier(job->give_up_ms, streams_due_ms(&job->streams)));
    int64_t left = due - job_now_ms();
    if (due == JOB_NEVER)
        return -1;
    return left <= 0 ? 0 : left > 600000 ? 600000 : (int)left;
}

/* A descriptor to wait for; poll(2) passes over those that are -1. */
static struct pollfd want(int fd, bool wanted, short events)
{
    return (struct pollfd){wanted ? fd : -1, events, 0};
}

static bool has_room(struct job *job, enum stream_name name)
{
    uint8_t *at;
    return job->pipes.from[name] >= 0 && job->phase >= JOB_RUNNING &&
           streams_room(&job->streams, name, &at) > 0;
}

static void wait_and_serve(struct job *job)
{
    short link_events = job->phase == JOB_HANDING ? POLLIN | POLLOUT : POLLIN;
    bool feeding = job->phase == JOB_RUNNING && job->pipes.in >= 0;
    struct pollfd fds[] = {
        want(job->link, job->link >= 0, link_events),
        want(job->pipes.in, feeding, POLLOUT),
        want(job->pipes.from[STREAM_OUT], has_room(job, STREAM_OUT), POLLIN),
        want(job->pipes.from[STREAM_ERR], has_room(job, STREAM_ERR), POLLIN),
    };
    worker_wait(job->worker, fds, 4, timeout_of(job));
    /* Output first: when the command's end is read from the link, its output lies in the pipes. */
    if (fds[2].revents)
        job_read(job, STREAM_OUT);
    if (fds[3].revents)
        job_read(job, STREAM_ERR);
    if (fds[1].revents)
        job_feed(job);
    if (job->phase == JOB_HANDING && fds[0].revents & POLLOUT)
        job_hand_over(job);
    if (fds[0].revents & ~POLLOUT)
        job_link_ready(job);
}

/* ---------------------------------------------------------------- going on */

static void look_at_clock(struct job *job)
{
    int64_t now = job_now_ms();
    if (now >= job->due_ms)
        job_on_time(job);
    if (now >= job->retry_ms) {
        job->retry_ms = JOB_NEVER;
        streams_resume(&job->streams, 0, 0);
    }
    if (now >= job->give_up_ms) {
        job->give_up_ms = JOB_NEVER;
        streams_give_up(&job->streams);
    }
}

static void go_on(struct job *job)
{
    if (job->phase == JOB_RUNNING && streams_overflowed(&job->streams))
        job_limit(job, ipc_CommandLimit_LIMIT_OUTPUT);
    if (job->phase == JOB_DRAINING && job->due_ms == JOB_NEVER)
        job_drain(job);
    job_send(job);
    if (job->phase == JOB_DRAINING && streams_closed(&job->streams))
        job_finish(job);
    if (job->phase == JOB_DELIVERING && streams_done(&job->streams))
        job_leave(job);
}

void job_run(struct job *job, uint8_t *memory)
{
    streams_begin(&job->streams, memory, 0);
    job->due_ms = job_now_ms() + GREETING_MS;
    job->retry_ms = job->give_up_ms = JOB_NEVER;
    for (;;) {
        wait_and_serve(job);
        job_messages(job);
        look_at_clock(job);
        go_on(job);
    }
}

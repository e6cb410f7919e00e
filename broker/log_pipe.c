#include "log_pipe.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void flush_line(struct log_pipe *pipe)
{
    if (quota_take(&pipe->quota, LOG_PIPE_LINES_PER_SECOND, monotonic_ms())) {
        if (pipe->dropped)
            log_warning("%s[%d]: %u lines were dropped, it writes too many", pipe->who, pipe->pid,
                        pipe->dropped);
        pipe->dropped = 0;
        log_relay(pipe->who, pipe->pid, pipe->line, pipe->used);
    } else {
        pipe->dropped++;
    }
    pipe->used = 0;
}

static void take(struct log_pipe *pipe, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n') {
            if (!pipe->overlong)
                flush_line(pipe);
            pipe->overlong = false;
        } else if (!pipe->overlong) {
            pipe->line[pipe->used++] = bytes[i];
            if (pipe->used == sizeof(pipe->line)) {
                flush_line(pipe);
                pipe->overlong = true;
            }
        }
    }
}

static bool drain(struct log_pipe *pipe)
{
    /* At most this much a round, so that one talkative worker does not hold up the others. */
    char bytes[4096];
    ssize_t n = read(pipe->fd, bytes, sizeof(bytes));
    if (n > 0)
        take(pipe, bytes, (size_t)n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void ready(void *context, uint32_t events)
{
    struct log_pipe *pipe = context;
    (void)events;
    if (!drain(pipe))
        log_pipe_close(pipe);
}

int log_pipe_open(struct log_pipe *pipe, int loop, int fd, const char *who, int pid)
{
    log_pipe_close(pipe);
    *pipe = (struct log_pipe){.fd = fd, .loop = loop, .who = who, .pid = pid};
    pipe->source = (struct event_source){.fd = fd, .ready = ready, .context = pipe};
    return event_loop_add(loop, &pipe->source);
}

void log_pipe_close(struct log_pipe *pipe)
{
    if (pipe->fd < 0)
        return;
    char bytes[4096];
    for (int round = 0; round < 16; round++) {
        ssize_t n = read(pipe->fd, bytes, sizeof(bytes));
        if (n <= 0)
            break;
        take(pipe, bytes, (size_t)n);
    }
    if (pipe->used)
        flush_line(pipe);
    event_loop_remove(pipe->loop, &pipe->source);
    close(pipe->fd);
    pipe->fd = -1;
}

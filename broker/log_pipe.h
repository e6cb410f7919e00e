/*
 * A worker's standard error: cut into lines, bounded in length and number, tagged by its reader.
 * One thread.
 */
#ifndef CLOISTER_LOG_PIPE_H
#define CLOISTER_LOG_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event_loop.h"
#include "log.h"
#include "quota.h"

#define LOG_PIPE_LINES_PER_SECOND 100

struct log_pipe {
    int fd; /* owned; -1: closed */
    int loop;
    struct event_source source;
    const char *who;
    int pid;
    size_t used;
    bool overlong; /* the rest of a line that was too long is being skipped */
    uint32_t dropped;
    struct quota quota;
    char line[LOG_LINE_MAX];
};

/* Takes `fd` (non-blocking) over and relays what comes through it as `who`[pid]. 0 or -errno. */
int log_pipe_open(struct log_pipe *pipe, int loop, int fd, const char *who, int pid);

/* Relays what is left, and closes. Harmless on a closed one. */
void log_pipe_close(struct log_pipe *pipe);

#endif

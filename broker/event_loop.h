/*
 * The broker's one event loop: epoll over every descriptor, and one next deadline.
 *
 * A source is embedded in what it belongs to. A handler may remove any source, also one that is
 * ready in the same round, and use its memory for another: the round skips what is removed, and
 * what was added since it began, so that an event can never reach its source's successor. The
 * memory must outlive the round (the broker's tables are static). One thread, one loop in a
 * process.
 */
#ifndef CLOISTER_EVENT_LOOP_H
#define CLOISTER_EVENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct event_source {
    int fd; /* not owned */
    bool watched;
    uint64_t added; /* in which round */
    void (*ready)(void *context, uint32_t events);
    void *context;
};

/* Makes the loop. Returns its epoll descriptor, or -errno. */
int event_loop_new(void);

/* Starts to watch source->fd for input. Returns 0 or -errno. */
int event_loop_add(int loop, struct event_source *source);

/* Stops watching. Harmless on a source that is not watched. Call it before fd is closed. */
void event_loop_remove(int loop, struct event_source *source);

/* Waits up to timeout_ms (-1: for ever) and runs what is ready, once. Returns 0 or -errno. */
int event_loop_run(int loop, int timeout_ms);

/* Monotonic time in ms, at least 1. */
uint64_t monotonic_ms(void);

/* Unix time in ms. */
uint64_t unix_ms(void);

#endif

#include "event_loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

#define ROUND_MAX 32

static uint64_t current_round = 1;

int event_loop_new(void)
{
    int loop = epoll_create1(EPOLL_CLOEXEC);
    return loop < 0 ? -errno : loop;
}

int event_loop_add(int loop, struct event_source *source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, source->fd, &event))
        return -errno;
    source->watched = true;
    source->added = current_round;
    return 0;
}

void event_loop_remove(int loop, struct event_source *source)
{
    if (!source->watched)
        return;
    source->watched = false;
    epoll_ctl(loop, EPOLL_CTL_DEL, source->fd, NULL);
}

int event_loop_run(int loop, int timeout_ms)
{
    struct epoll_event events[ROUND_MAX];
    int n = epoll_wait(loop, events, ROUND_MAX, timeout_ms);
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    current_round++;
    for (int i = 0; i < n; i++) {
        struct event_source *source = events[i].data.ptr;
        if (source->watched && source->added != current_round)
            source->ready(source->context, events[i].events);
    }
    return 0;
}

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t monotonic_ms(void)
{
    uint64_t now = clock_ms(CLOCK_MONOTONIC);
    return now ? now : 1;
}

uint64_t unix_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

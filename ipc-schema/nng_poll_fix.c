/*
 * A repair of nng 1.5.2's poller, linked in front of it with --wrap.
 *
 * nng adds a new socket to its epoll set before it connects it, and asks for no events yet. But a
 * stream socket that is not connected hangs up for as long as it is not, EPOLLHUP is reported
 * whether it is asked for or not, and without EPOLLONESHOT, which nng sets from the first transfer
 * on, it is reported again and again: the poller takes a processor for itself, most likely the one
 * that the connecting thread was about to run on, which comes to its connect(2) a time slice later
 * (0.9 ms of a worker's start). Reported once, it is of no consequence.
 */
#include <sys/epoll.h>

int __real_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);

int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    if (operation == EPOLL_CTL_ADD && event->events == 0)
        event->events = EPOLLONESHOT;
    return __real_epoll_ctl(epoll, operation, fd, event);
}

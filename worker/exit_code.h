/*
 * With what status a worker exits, and so what the broker does next.
 */
#ifndef CLOISTER_EXIT_CODE_H
#define CLOISTER_EXIT_CODE_H

enum worker_exit {
    WORKER_EXIT_DONE = 0,         /* its work is done, or its channel closed */
    WORKER_EXIT_FAILED = 70,      /* an error that it logged; tried again with back-off */
    WORKER_EXIT_SANDBOX = 71,     /* a layer of the sandbox is missing: fail closed */
    WORKER_EXIT_CHANNEL = 72,     /* no channel, or the broker does not answer */
    WORKER_EXIT_NOT_YET = 73,     /* what it needs is not there yet (no X server); tried again */
    WORKER_EXIT_UNAVAILABLE = 74, /* what it needs cannot be had here (Wayland) */
    WORKER_EXIT_PROTOCOL = 75,    /* the broker said what it may not */
};

#endif

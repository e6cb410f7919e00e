#include "pair.h"

#include <nng/protocol/pair0/pair.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define DIAL_TRIES 500 /* every 10 ms */

uint64_t pair_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void must(int error, const char *what)
{
    if (error == 0)
        return;
    fprintf(stderr, "%s: %s\n", what, nng_strerror(error));
    _exit(1);
}

static void url_of(char url[static 128], const char *path)
{
    if (snprintf(url, 128, "ipc://%s", path) >= 128)
        must(NNG_EADDRINVAL, path);
}

static _Noreturn void echo(const char *path)
{
    nng_socket socket;
    nng_msg *message;
    char url[128];
    url_of(url, path);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    must(nng_pair0_open(&socket), "open");
    must(nng_listen(socket, url, NULL, 0), "listen");
    while (nng_recvmsg(socket, &message, 0) == 0)
        must(nng_sendmsg(socket, message, 0), "echo");
    _exit(0);
}

pid_t pair_start(const char *path)
{
    pid_t child = fork();
    if (child < 0)
        must(NNG_ENOMEM, "fork");
    if (child == 0)
        echo(path);
    return child;
}

nng_socket pair_dial(const char *path)
{
    nng_socket socket;
    char url[128];
    url_of(url, path);
    must(nng_pair0_open(&socket), "open");
    int error = NNG_ECONNREFUSED;
    for (int i = 0; i < DIAL_TRIES && error != 0; i++) {
        error = nng_dial(socket, url, NULL, 0);
        if (error != 0)
            poll(NULL, 0, 10);
    }
    must(error, "dial the echo");
    return socket;
}

uint64_t pair_round(nng_socket socket, size_t bytes)
{
    nng_msg *message;
    must(nng_msg_alloc(&message, bytes), "memory");
    uint64_t start = pair_now_ns();
    must(nng_sendmsg(socket, message, 0), "send");
    must(nng_recvmsg(socket, &message, 0), "receive");
    uint64_t took = pair_now_ns() - start;
    if (nng_msg_len(message) != bytes)
        must(NNG_EPROTO, "length");
    nng_msg_free(message);
    return took;
}

static int ascending(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x < y ? -1 : x > y;
}

void pair_print(const char *name, uint64_t *values, size_t count)
{
    qsort(values, count, sizeof(*values), ascending);
    printf("\"%s\": {\"median\": %llu, \"p90\": %llu}", name, (unsigned long long)values[count / 2],
           (unsigned long long)values[count - 1 - count / 10]);
}

#include "dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int dial_address_read(struct dial_address *out, const char *text, uint16_t port)
{
    struct sockaddr_in *four = (struct sockaddr_in *)&out->storage;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&out->storage;

    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        out->length = sizeof *four;
        return 0;
    }
    if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        out->length = sizeof *six;
        return 0;
    }
    return -EINVAL;
}

void dial_address_write(char *out, const struct dial_address *address)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)&address->storage;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address->storage;
    char text[INET6_ADDRSTRLEN] = "?";

    if (address->storage.ss_family == AF_INET) {
        inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
        snprintf(out, DIAL_TEXT_MAX, "%s:%u", text, ntohs(four->sin_port));
    } else {
        inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
        snprintf(out, DIAL_TEXT_MAX, "[%s]:%u", text, ntohs(six->sin6_port));
    }
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until the pending connect on `fd` has come to an end. Returns 0 or -errno. */
static int await(int fd, int timeout_ms)
{
    int64_t deadline = now_ms() + timeout_ms;
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    socklen_t size = sizeof(int);
    int error = 0;

    for (;;) {
        int64_t left = deadline - now_ms();
        int ready = poll(&poll_fd, 1, left > 0 ? (int)left : 0);

        if (ready > 0)
            break;
        if (ready == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -errno;
    return -error;
}

/* How much may wait in the kernel before a write says "later"; what is under way counts apart. */
#define NOT_SENT_MAX 131072

/* After the lock no option can be set any more. */
static int set_options(int fd)
{
    int one = 1;
    int lowat = NOT_SENT_MAX;

    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat) < 0)
        return -errno;
    return 0;
}

/* Returns the connected descriptor or -errno. */
static int attempt(const struct dial_address *address, int timeout_ms)
{
    int rc = 0;
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address->storage, address->length) < 0)
        rc = errno == EINPROGRESS || errno == EINTR ? await(fd, timeout_ms) : -errno;
    if (rc == 0)
        rc = set_options(fd);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}

static enum fault_reason reason_of(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return FAULT_REFUSED;
    case ETIMEDOUT:
        return FAULT_CONNECT_TIMEOUT;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
        return FAULT_LOCAL;
    default:
        return FAULT_UNREACHABLE;
    }
}

/* The order in which faults tell more about the peer; higher wins. */
static int rank(enum fault_reason reason)
{
    switch (reason) {
    case FAULT_REFUSED:
        return 4;
    case FAULT_CONNECT_TIMEOUT:
        return 3;
    case FAULT_UNREACHABLE:
        return 2;
    default:
        return reason == FAULT_NONE ? 0 : 1;
    }
}

static void remember(struct fault *best, const struct dial_address *address, int error)
{
    enum fault_reason reason = reason_of(error);
    char text[DIAL_TEXT_MAX];

    if (rank(reason) <= rank(best->reason))
        return;
    dial_address_write(text, address);
    fault_clear(best);
    fault_set(best, reason, "%s: %s", text, strerror(error));
}

int dial(int *out, const struct dial_address *addresses, size_t count, int total_ms, size_t *used,
         struct fault *fault)
{
    int64_t deadline = now_ms() + total_ms;
    struct fault best;

    fault_clear(&best);
    if (count > DIAL_ADDRESSES_MAX)
        count = DIAL_ADDRESSES_MAX;
    for (size_t i = 0; i < count; i++) {
        int64_t left = deadline - now_ms();
        int fd = attempt(&addresses[i], left > 0 ? (int)(left / (int64_t)(count - i)) : 0);

        if (fd >= 0) {
            *used = i;
            *out = fd;
            return 0;
        }
        remember(&best, &addresses[i], -fd);
    }
    if (count == 0)
        fault_set(&best, FAULT_NAME_NOT_RESOLVED, "there is no address to connect to");
    return fault_set(fault, best.reason, "%s", best.detail);
}

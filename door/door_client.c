#include "door_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_WAIT_MS 10000

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static enum door_outcome fail(struct door *door, enum door_outcome outcome, const char *why)
{
    snprintf(door->why, sizeof(door->why), "%s", why);
    door_leave(door);
    return outcome;
}

static int knock(const char *runtime, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/door/%s", runtime, name);
    if (n < 0 || (size_t)n >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

/* Reads "ok PATH" or "no REASON". */
static ssize_t hear(int fd, char *out, size_t capacity)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, ANSWER_WAIT_MS) != 1)
        return -1;
    ssize_t n = recv(fd, out, capacity - 1, 0);
    if (n >= 0)
        out[n] = '\0';
    return n;
}

static enum door_outcome say_hello(struct door *door)
{
    ipc_Hello hello;
    memcpy(hello.schema_digest, ipc_schema_digest, sizeof(hello.schema_digest));
    struct message answer;
    int error = door_call(door, IPC_HELLO, &hello, NULL, 0, ANSWER_WAIT_MS, &answer, NULL, NULL);
    if (error)
        return fail(door, DOOR_BROKEN, "the agent does not answer; see its log");
    enum door_outcome outcome = DOOR_BROKEN;
    if (answer.envelope.number == IPC_WELCOME &&
        envelope_decode(&answer.envelope, &door->welcome) == ENVELOPE_OK)
        outcome = DOOR_OK;
    else if (answer.envelope.number == IPC_REFUSED &&
             envelope_decode(&answer.envelope, &door->refused) == ENVELOPE_OK)
        outcome = DOOR_REFUSED;
    message_free(&answer);
    if (outcome == DOOR_BROKEN)
        return fail(door, outcome, "the agent's answer makes no sense");
    if (outcome == DOOR_REFUSED)
        return fail(door, outcome, door->refused.detail);
    return DOOR_OK;
}

enum door_outcome door_enter(struct door *door, const char *runtime, enum ipc_peer peer)
{
    *door = (struct door){.fd = -1};
    door->fd = knock(runtime, peer == IPC_PEER_TICKET ? "ticket" : "control");
    if (door->fd < 0) {
        char why[160];
        snprintf(why, sizeof(why), "the agent is not running (%.60s/door: %s)", runtime,
                 strerror(-door->fd));
        door->fd = -1;
        return fail(door, DOOR_NOT_RUNNING, why);
    }
    char said[192];
    ssize_t n = hear(door->fd, said, sizeof(said));
    if (n <= 0)
        return fail(door, DOOR_BROKEN, "the agent does not answer at its door; see its log");
    if (strncmp(said, "no ", 3) == 0)
        return fail(door, DOOR_TURNED_AWAY, said + 3);
    if (strncmp(said, "ok ", 3) != 0)
        return fail(door, DOOR_BROKEN, "the agent's answer makes no sense");
    if (channel_dial(&door->channel, said + 3, peer, false))
        return fail(door, DOOR_BROKEN, "the agent's endpoint does not answer");
    return say_hello(door);
}

/* Waits until something can be received. 0, or -errno. */
static int wait_for_message(struct door *door, int64_t deadline)
{
    int64_t left = deadline - now_ms();
    if (left <= 0)
        return -ETIMEDOUT;
    struct pollfd fds[] = {
        {.fd = channel_fd(door->channel), .events = POLLIN},
        {.fd = door->fd, .events = POLLIN},
    };
    int n = poll(fds, 2, left > INT32_MAX ? INT32_MAX : (int)left);
    if (n < 0 && errno != EINTR)
        return -errno;
    /* A hang-up may follow a last answer: that one still counts. */
    if (n > 0 && fds[1].revents && !fds[0].revents)
        return -ECONNRESET;
    return 0;
}

int door_call(struct door *door, uint16_t number, const void *body, const void *blob,
              size_t blob_length, int timeout_ms, struct message *answer,
              void (*other)(void *context, const struct message *message), void *context)
{
    static uint32_t last;
    uint32_t request = ++last ? last : ++last;
    int64_t deadline = now_ms() + timeout_ms;
    int outcome = channel_send(door->channel, number, request, body, blob, blob_length);
    if (outcome != CHANNEL_OK)
        return outcome < 0 ? outcome : -ECONNRESET;
    for (;;) {
        enum envelope_outcome why;
        outcome = channel_receive(door->channel, answer, &why);
        if (outcome == CHANNEL_OK && answer->envelope.request == request)
            return 0;
        if (outcome == CHANNEL_OK) {
            if (other)
                other(context, answer);
            message_free(answer);
            continue;
        }
        if (outcome != CHANNEL_EMPTY)
            return outcome < 0 ? outcome : -ECONNRESET;
        int error = wait_for_message(door, deadline);
        if (error)
            return error;
    }
}

void door_leave(struct door *door)
{
    door->channel = channel_free(door->channel);
    if (door->fd >= 0)
        close(door->fd);
    door->fd = -1;
}

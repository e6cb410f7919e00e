#include "channel.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/transport/ipc/ipc.h>
#include <pb_encode.h>

#define SEND_WAIT_MS   10000
#define DIAL_WAIT_MS   5000
#define QUEUE_MESSAGES 64 /* towards one peer; requests to a peer are bounded below this */

struct channel {
    nng_socket socket;
    /*
     * One receive is always under way; its callback, on an nng thread, leaves the message here and
     * raises the event. NNG_OPT_RECVFD would do that for us, but nng 1.5 never closes that
     * descriptor's pipe: two descriptors leak with every socket.
     */
    nng_aio *receive;
    _Atomic(nng_msg *) waiting;
    int fd; /* eventfd: a message waits */
    int wake_fd;
    bool dialer;
    bool exit_on_close;
    char path[108]; /* sizeof(sun_path) */
    /* The expected peer; pid is written last and read first. */
    atomic_int pid;
    atomic_uint uid;
    atomic_bool connected;
    atomic_int pipe; /* the accepted connection */
    atomic_bool closed;
    /*
     * Held while the end of the connection is noted, and while the next receive is started, which
     * must not happen after it: nng 1.5's pair0 then reads through a pointer that it has cleared,
     * if a message came in at that moment. A peer could crash the broker by sending and leaving.
     */
    pthread_mutex_t ending;
};

static int error_of(int nng_error)
{
    switch (nng_error) {
    case 0:
        return 0;
    case NNG_ENOMEM:
        return -ENOMEM;
    case NNG_ECONNREFUSED:
        return -ECONNREFUSED;
    case NNG_EADDRINUSE:
        return -EADDRINUSE;
    case NNG_ETIMEDOUT:
        return -ETIMEDOUT;
    case NNG_EPERM:
        return -EACCES;
    default:
        return nng_error & NNG_ESYSERR ? -(nng_error & ~NNG_ESYSERR) : -EIO;
    }
}

static void wake(struct channel *channel)
{
    uint64_t one = 1;
    /* An eventfd write fails only when the counter is full, and then the loop is awake anyway. */
    if (channel->wake_fd >= 0 && write(channel->wake_fd, &one, sizeof(one)) < 0)
        return;
}

/* Runs on an nng thread, before a connection may carry anything: closing it here rejects it. */
static void on_connecting(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    (void)event;
    struct channel *channel = arg;
    uint64_t pid = 0, uid = 0;
    bool known = nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_PID, &pid) == 0 &&
                 nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &uid) == 0;
    int expected = atomic_load(&channel->pid);
    if (!known || expected <= 0 || pid != (uint64_t)expected || uid != atomic_load(&channel->uid) ||
        atomic_exchange(&channel->connected, true)) {
        nng_pipe_close(pipe);
        return;
    }
    atomic_store(&channel->pipe, nng_pipe_id(pipe));
    wake(channel);
}

/* Runs on an nng thread, after which nng takes the connection apart. */
static void on_closed(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    (void)event;
    struct channel *channel = arg;
    if (channel->exit_on_close)
        _exit(0);
    /* A rejected connection closes too; only the accepted one counts. */
    if (channel->dialer || nng_pipe_id(pipe) == atomic_load(&channel->pipe)) {
        pthread_mutex_lock(&channel->ending);
        atomic_store(&channel->closed, true);
        pthread_mutex_unlock(&channel->ending);
        wake(channel);
    }
}

/* Runs on an nng thread. Does not start the next receive: the reader does when it has taken this.
 */
static void on_received(void *arg)
{
    struct channel *channel = arg;
    if (nng_aio_result(channel->receive) != 0)
        return;
    uint64_t one = 1;
    atomic_store(&channel->waiting, nng_aio_get_msg(channel->receive));
    if (write(channel->fd, &one, sizeof(one)) < 0)
        return; /* the counter is full: it is readable anyway */
}

static int channel_new(struct channel **out, const char *path, bool dialer)
{
    struct channel *channel = calloc(1, sizeof(*channel));
    if (!channel)
        return -ENOMEM;
    channel->dialer = dialer;
    channel->wake_fd = -1;
    atomic_store(&channel->pipe, -1);
    pthread_mutex_init(&channel->ending, NULL);
    int n = snprintf(channel->path, sizeof(channel->path), "%s", path);
    if (n < 0 || (size_t)n >= sizeof(channel->path)) {
        free(channel);
        return -ENAMETOOLONG;
    }
    channel->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = channel->fd < 0 ? -errno : error_of(nng_pair0_open(&channel->socket));
    if (!error)
        error = error_of(nng_aio_alloc(&channel->receive, on_received, channel));
    if (error) {
        channel_free(channel);
        return error;
    }
    *out = channel;
    return 0;
}

int channel_threads_start(void)
{
    nng_socket socket;
    int error = nng_pair0_open(&socket);
    if (!error)
        nng_close(socket);
    return error_of(error);
}

static int set_options(struct channel *channel, size_t receive_max)
{
    nng_socket s = channel->socket;
    int error = nng_socket_set_size(s, NNG_OPT_RECVMAXSZ, receive_max);
    if (!error)
        error = nng_socket_set_int(s, NNG_OPT_SENDBUF, QUEUE_MESSAGES);
    if (!error)
        error = nng_socket_set_ms(s, NNG_OPT_SENDTIMEO, SEND_WAIT_MS);
    if (!error)
        error = nng_pipe_notify(s, NNG_PIPE_EV_REM_POST, on_closed, channel);
    if (!error)
        nng_recv_aio(s, channel->receive);
    return error_of(error);
}

static int url_of(char url[static 128], const char *path)
{
    int n = snprintf(url, 128, "ipc://%s", path);
    return n < 0 || n >= 128 ? -ENAMETOOLONG : 0;
}

/* Runs on an nng thread. */
static void on_dialled(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    (void)pipe;
    (void)event;
    struct channel *channel = arg;
    wake(channel);
}

/* As nng_dial, which would wait for ever for a broker that does not take the connection. */
static int dial(struct channel *channel, const char *url)
{
    channel->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (channel->wake_fd < 0)
        return -errno;
    int error =
        error_of(nng_pipe_notify(channel->socket, NNG_PIPE_EV_ADD_POST, on_dialled, channel));
    if (!error)
        error = error_of(nng_dial(channel->socket, url, NULL, NNG_FLAG_NONBLOCK));
    struct pollfd up = {.fd = channel->wake_fd, .events = POLLIN};
    while (!error) {
        int n = poll(&up, 1, DIAL_WAIT_MS);
        if (n > 0)
            break;
        if (n == 0 || errno != EINTR)
            error = n == 0 ? -ETIMEDOUT : -errno;
    }
    return error;
}

int channel_dial(struct channel **out, const char *path, enum ipc_peer self, bool exit_on_close)
{
    struct channel *channel = NULL;
    int error = channel_new(&channel, path, true);
    if (error)
        return error;
    channel->exit_on_close = exit_on_close;
    char url[128];
    error = url_of(url, path);
    if (!error)
        error = set_options(channel, ipc_longest_to(self));
    if (!error)
        error = dial(channel, url);
    if (error) {
        channel->exit_on_close = false;
        channel_free(channel);
        return error;
    }
    *out = channel;
    return 0;
}

int channel_listen(struct channel **out, const char *path, enum ipc_peer peer, int wake_fd)
{
    struct channel *channel = NULL;
    int error = channel_new(&channel, path, false);
    if (error)
        return error;
    channel->wake_fd = wake_fd;
    char url[128];
    error = url_of(url, path);
    if (!error)
        error = set_options(channel, ipc_longest_from(peer));
    if (!error)
        error =
            error_of(nng_pipe_notify(channel->socket, NNG_PIPE_EV_ADD_PRE, on_connecting, channel));
    nng_listener listener;
    if (!error)
        error = error_of(nng_listener_create(&listener, channel->socket, url));
    if (!error) {
        /* Who may reach the path is decided by the folder; who is accepted, by on_connecting. */
        error = error_of(nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, 0666));
        if (!error)
            error = error_of(nng_listener_start(listener, 0));
    }
    if (error) {
        channel_free(channel);
        return error;
    }
    *out = channel;
    return 0;
}

void channel_expect(struct channel *channel, pid_t pid, uid_t uid)
{
    atomic_store(&channel->uid, uid);
    atomic_store(&channel->pid, pid);
}

bool channel_connected(const struct channel *channel)
{
    return atomic_load(&channel->connected);
}

bool channel_closed(const struct channel *channel)
{
    return atomic_load(&channel->closed);
}

int channel_fd(const struct channel *channel)
{
    return channel->fd;
}

static int send_message(struct channel *channel, nng_msg *raw)
{
    /* A dialer may wait for the broker; the broker waits for nobody. */
    int error = nng_sendmsg(channel->socket, raw, channel->dialer ? 0 : NNG_FLAG_NONBLOCK);
    switch (error) {
    case 0:
        return CHANNEL_OK;
    case NNG_EAGAIN:
    case NNG_ETIMEDOUT:
        return CHANNEL_FULL;
    case NNG_ECLOSED:
        return CHANNEL_CLOSED;
    default:
        return error_of(error);
    }
}

int channel_send_stamped(struct channel *channel, uint16_t number, uint32_t request,
                         uint32_t ticket, uint32_t uid, const void *body, const void *blob,
                         size_t blob_length)
{
    const struct ipc_type *type = ipc_type_find(number);
    size_t body_length = 0;
    if (!type || blob_length > type->blob_max ||
        !pb_get_encoded_size(&body_length, type->fields, body) || body_length > type->body_max)
        return -EINVAL;
    nng_msg *raw = NULL;
    if (nng_msg_alloc(&raw, ENVELOPE_HEADER + body_length + blob_length))
        return -ENOMEM;
    uint8_t *data = nng_msg_body(raw);
    envelope_write(data, number, request, (uint32_t)body_length, (uint32_t)blob_length);
    if (ticket || uid)
        envelope_stamp(data, request, ticket, uid);
    pb_ostream_t stream = pb_ostream_from_buffer(data + ENVELOPE_HEADER, body_length);
    int outcome = -EINVAL;
    if (pb_encode(&stream, type->fields, body) && stream.bytes_written == body_length) {
        if (blob_length)
            memcpy(data + ENVELOPE_HEADER + body_length, blob, blob_length);
        outcome = send_message(channel, raw);
    }
    if (outcome != CHANNEL_OK)
        nng_msg_free(raw);
    return outcome;
}

int channel_send(struct channel *channel, uint16_t number, uint32_t request, const void *body,
                 const void *blob, size_t blob_length)
{
    return channel_send_stamped(channel, number, request, 0, 0, body, blob, blob_length);
}

int channel_send_raw(struct channel *channel, const void *data, size_t length)
{
    nng_msg *raw = NULL;
    if (nng_msg_alloc(&raw, length))
        return -ENOMEM;
    if (length)
        memcpy(nng_msg_body(raw), data, length);
    int outcome = send_message(channel, raw);
    if (outcome != CHANNEL_OK)
        nng_msg_free(raw);
    return outcome;
}

static void receive_next(struct channel *channel)
{
    pthread_mutex_lock(&channel->ending);
    if (!channel_closed(channel))
        nng_recv_aio(channel->socket, channel->receive);
    pthread_mutex_unlock(&channel->ending);
}

int channel_receive(struct channel *channel, struct message *out, enum envelope_outcome *why)
{
    *out = (struct message){0};
    bool closed = channel_closed(channel); /* before the look: what came first still counts */
    nng_msg *raw = atomic_exchange(&channel->waiting, NULL);
    if (!raw)
        return closed ? CHANNEL_CLOSED : CHANNEL_EMPTY;
    uint64_t n;
    if (read(channel->fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
        return -errno;
    receive_next(channel);
    *why = envelope_parse(&out->envelope, nng_msg_body(raw), nng_msg_len(raw));
    if (*why != ENVELOPE_OK) {
        nng_msg_free(raw);
        return CHANNEL_MALFORMED;
    }
    out->raw = raw;
    return CHANNEL_OK;
}

int channel_forward(struct channel *to, struct message *message, uint32_t request, uint32_t ticket,
                    uint32_t uid)
{
    envelope_stamp(nng_msg_body(message->raw), request, ticket, uid);
    int outcome = send_message(to, message->raw);
    if (outcome == CHANNEL_OK)
        *message = (struct message){0};
    return outcome;
}

void message_free(struct message *message)
{
    if (message->raw)
        nng_msg_free(message->raw);
    *message = (struct message){0};
}

struct channel *channel_free(struct channel *channel)
{
    if (!channel)
        return NULL;
    channel->exit_on_close = false;
    if (nng_socket_id(channel->socket) > 0)
        nng_close(channel->socket);
    if (channel->receive)
        nng_aio_free(channel->receive); /* waits for its callback */
    nng_msg *raw = atomic_load(&channel->waiting);
    if (raw)
        nng_msg_free(raw);
    if (channel->fd >= 0)
        close(channel->fd);
    if (channel->dialer && channel->wake_fd >= 0)
        close(channel->wake_fd);
    pthread_mutex_destroy(&channel->ending);
    free(channel);
    return NULL;
}

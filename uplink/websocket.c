#include "websocket.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

/* One TLS record's worth; wslay alone would hand out 4 kB at a time. */
#define OUT_MAX 16384

/* What one call of websocket_service reads at most. */
#define READ_PER_SERVICE 65536

struct websocket {
    wslay_event_context_ptr wslay;
    const struct websocket_callbacks *callbacks;
    void *user;
    uint8_t *early;
    size_t early_length, early_used;
    struct fault fault; /* what a callback found; ends the connection */
    bool closing;       /* we sent a close frame of our own accord */
    int64_t now_ms, closing_since_ms;
    int64_t last_sent_ms, last_received_ms, ping_ms, message_since_ms, second_since_ms;
    uint32_t heartbeat_ms, frames, pings, bytes;
    size_t budget;
    uint16_t peer_status;
    char peer_reason[WEBSOCKET_REASON_MAX + 1];
    size_t out_used;
    uint8_t out[OUT_MAX];
};

/* Starts a new second of the flood quota when the old one is over. */
static void meter(struct websocket *socket)
{
    if (socket->now_ms - socket->second_since_ms < 1000)
        return;
    socket->second_since_ms = socket->now_ms;
    socket->frames = socket->pings = 0;
    socket->bytes = 0;
}

/* The close frame is queued first: wslay would queue an empty one when it meets the fault. */
static void violated(struct websocket *socket, const char *word, const char *text)
{
    websocket_close(socket, WSLAY_CODE_POLICY_VIOLATION, word);
    fault_set(&socket->fault, FAULT_PROTOCOL, "%s", text);
}

static void flooded(struct websocket *socket)
{
    if (socket->frames > WEBSOCKET_FRAMES_PER_S || socket->pings > WEBSOCKET_PINGS_PER_S ||
        socket->bytes > WEBSOCKET_BYTES_PER_S)
        violated(socket, "flood", "the console floods");
}

static void lost(struct websocket *socket, ssize_t error)
{
    if (error == -EPROTO)
        fault_set(&socket->fault, FAULT_PROTOCOL, "the console broke TLS");
    else if (error == 0)
        fault_set(&socket->fault, FAULT_CLOSED, "the console ended TLS without a close frame");
    else
        fault_set(&socket->fault, FAULT_CLOSED, "connection lost: %s", strerror((int)-error));
}

static ssize_t read_early(struct websocket *socket, uint8_t *out, size_t length)
{
    size_t left = socket->early_length - socket->early_used;

    if (length > left)
        length = left;
    memcpy(out, socket->early + socket->early_used, length);
    socket->early_used += length;
    return (ssize_t)length;
}

static ssize_t on_read(wslay_event_context_ptr wslay, uint8_t *out, size_t length, int flags,
                       void *user)
{
    struct websocket *socket = user;
    ssize_t count;

    (void)flags;
    if (socket->fault.reason != FAULT_NONE) {
        wslay_event_set_error(wslay, WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    if (socket->budget == 0 || wslay_event_get_queued_msg_count(wslay) > WEBSOCKET_QUEUE_MAX) {
        wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (length > socket->budget)
        length = socket->budget;
    if (socket->early_used < socket->early_length)
        count = read_early(socket, out, length);
    else
        count = socket->callbacks->read(socket->user, out, length);
    if (count <= 0) {
        if (count != -EAGAIN)
            lost(socket, count);
        wslay_event_set_error(wslay,
                              count == -EAGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    socket->budget -= (size_t)count;
    socket->bytes += (uint32_t)count;
    socket->last_received_ms = socket->now_ms;
    socket->ping_ms = 0;
    flooded(socket);
    return count;
}

/* Hands the collected bytes to the transport. Returns 0, -EAGAIN, or what ended the connection. */
static ssize_t flush(struct websocket *socket)
{
    while (socket->out_used > 0) {
        ssize_t count = socket->callbacks->write(socket->user, socket->out, socket->out_used);

        if (count <= 0)
            return count == 0 ? -ECONNRESET : count;
        socket->out_used -= (size_t)count;
        memmove(socket->out, socket->out + count, socket->out_used);
        socket->last_sent_ms = socket->now_ms;
    }
    return 0;
}

static ssize_t on_write(wslay_event_context_ptr wslay, const uint8_t *bytes, size_t length,
                        int flags, void *user)
{
    struct websocket *socket = user;
    ssize_t rc = 0;

    (void)flags;
    if (socket->out_used == OUT_MAX)
        rc = flush(socket);
    if (rc < 0 && rc != -EAGAIN) {
        lost(socket, rc);
        wslay_event_set_error(wslay, WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    if (socket->out_used == OUT_MAX) {
        wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (length > OUT_MAX - socket->out_used)
        length = OUT_MAX - socket->out_used;
    memcpy(socket->out + socket->out_used, bytes, length);
    socket->out_used += length;
    return (ssize_t)length;
}

static int on_mask(wslay_event_context_ptr wslay, uint8_t *out, size_t length, void *user)
{
    (void)user;
    if (RAND_bytes(out, (int)length) == 1)
        return 0;
    wslay_event_set_error(wslay, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static void on_frame(wslay_event_context_ptr wslay,
                     const struct wslay_event_on_frame_recv_start_arg *frame, void *user)
{
    struct websocket *socket = user;

    (void)wslay;
    socket->frames++;
    socket->pings += wslay_is_ctrl_frame(frame->opcode);
    flooded(socket);
    if (!wslay_is_ctrl_frame(frame->opcode) && frame->opcode != WSLAY_CONTINUATION_FRAME)
        socket->message_since_ms = socket->now_ms;
}

static void on_close(struct websocket *socket, const struct wslay_event_on_msg_recv_arg *message)
{
    size_t length = message->msg_length > 2 ? message->msg_length - 2 : 0;

    if (length > WEBSOCKET_REASON_MAX)
        length = WEBSOCKET_REASON_MAX;
    socket->peer_status = message->status_code ? message->status_code : 1005;
    if (length > 0)
        memcpy(socket->peer_reason, message->msg + 2, length);
    socket->peer_reason[length] = '\0';
}

static void on_message(wslay_event_context_ptr wslay,
                       const struct wslay_event_on_msg_recv_arg *message, void *user)
{
    struct websocket *socket = user;

    (void)wslay;
    if (message->opcode == WSLAY_CONNECTION_CLOSE)
        on_close(socket, message);
    if (wslay_is_ctrl_frame(message->opcode))
        return;
    socket->message_since_ms = 0;
    if (socket->closing || socket->fault.reason != FAULT_NONE)
        return;
    if (message->opcode == WSLAY_BINARY_FRAME)
        socket->callbacks->binary(socket->user, message->msg, message->msg_length);
    else if (message->msg_length <= WEBSOCKET_MESSAGE_MAX)
        socket->callbacks->text(socket->user, (const char *)message->msg, message->msg_length);
    else
        violated(socket, "oversize", "a message longer than is allowed");
}

int websocket_new(struct websocket **out, const struct websocket_callbacks *callbacks, void *user,
                  const void *early, size_t early_length, int64_t now_ms)
{
    static const struct wslay_event_callbacks hooks = {
        .recv_callback = on_read,
        .send_callback = on_write,
        .genmask_callback = on_mask,
        .on_frame_recv_start_callback = on_frame,
        .on_msg_recv_callback = on_message,
    };
    struct websocket *socket = calloc(1, sizeof *socket);

    if (!socket)
        return -ENOMEM;
    socket->callbacks = callbacks;
    socket->user = user;
    socket->now_ms = now_ms;
    socket->last_sent_ms = socket->last_received_ms = socket->second_since_ms = now_ms;
    if (early_length > 0) {
        socket->early = malloc(early_length);
        if (socket->early)
            memcpy(socket->early, early, early_length);
        socket->early_length = early_length;
    }
    if ((early_length > 0 && !socket->early) ||
        wslay_event_context_client_init(&socket->wslay, &hooks, socket) < 0) {
        websocket_free(socket);
        return -ENOMEM;
    }
    wslay_event_config_set_max_recv_msg_length(socket->wslay, WEBSOCKET_MESSAGE_MAX);
    *out = socket;
    return 0;
}

struct websocket *websocket_free(struct websocket *socket)
{
    if (socket) {
        if (socket->wslay)
            wslay_event_context_free(socket->wslay);
        free(socket->early);
        free(socket);
    }
    return NULL;
}

void websocket_take_binary(struct websocket *socket, size_t length)
{
    wslay_event_config_set_max_recv_msg_length(socket->wslay, length);
}

void websocket_heartbeat(struct websocket *socket, uint32_t heartbeat_ms)
{
    socket->heartbeat_ms = heartbeat_ms;
    socket->ping_ms = 0;
}

static int queue(struct websocket *socket, uint8_t opcode, const void *bytes, size_t length)
{
    const struct wslay_event_msg message = {opcode, bytes, length};

    switch (wslay_event_queue_msg(socket->wslay, &message)) {
    case 0:
        return 0;
    case WSLAY_ERR_NOMEM:
        return -ENOMEM;
    default:
        return -EPIPE;
    }
}

int websocket_send_text(struct websocket *socket, const char *text, size_t length)
{
    return queue(socket, WSLAY_TEXT_FRAME, text, length);
}

int websocket_send_binary(struct websocket *socket, const void *bytes, size_t length)
{
    return queue(socket, WSLAY_BINARY_FRAME, bytes, length);
}

void websocket_close(struct websocket *socket, uint16_t status, const char *word)
{
    size_t length = strlen(word);

    if (socket->closing)
        return;
    if (length > WEBSOCKET_REASON_MAX - 1)
        length = WEBSOCKET_REASON_MAX - 1;
    socket->closing = true;
    socket->closing_since_ms = socket->now_ms;
    wslay_event_queue_close(socket->wslay, status, (const uint8_t *)word, length);
}

/* Sends what is queued, as far as the transport takes it. */
static void write_out(struct websocket *socket)
{
    ssize_t rc;

    if (wslay_event_want_write(socket->wslay) && wslay_event_send(socket->wslay) < 0)
        fault_set(&socket->fault, FAULT_LOCAL, "a frame could not be made");
    rc = flush(socket);
    if (rc < 0 && rc != -EAGAIN)
        lost(socket, rc);
}

static bool sent_everything(const struct websocket *socket)
{
    return socket->out_used == 0 && !wslay_event_want_write(socket->wslay);
}

/* wslay has stopped reading by itself: after a close frame, or because it met a violation. */
static void judge_end(struct websocket *socket)
{
    uint16_t status;

    if (wslay_event_get_close_received(socket->wslay)) {
        if (socket->closing)
            return;
        fault_set(&socket->fault, FAULT_CLOSED, "the console closed: %u %.120s",
                  socket->peer_status, socket->peer_reason);
        return;
    }
    write_out(socket);
    status = wslay_event_get_status_code_sent(socket->wslay);
    fault_set(&socket->fault, FAULT_PROTOCOL, "%s",
              status == WSLAY_CODE_MESSAGE_TOO_BIG ? "a message longer than is allowed"
              : status == WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA
                  ? "text that is not UTF-8"
                  : "the console broke the WebSocket framing");
}

static void read_in(struct websocket *socket)
{
    int rc = 0;

    socket->budget = READ_PER_SERVICE;
    if (wslay_event_get_read_enabled(socket->wslay))
        rc = wslay_event_recv(socket->wslay);
    /* What a callback found is already in the fault; what is left is a frame that wslay refuses. */
    if (rc == WSLAY_ERR_NOMEM)
        fault_set(&socket->fault, FAULT_LOCAL, "out of memory for a message");
    else if (rc < 0)
        fault_set(&socket->fault, FAULT_PROTOCOL, "the console broke the WebSocket framing");
    if (socket->fault.reason == FAULT_NONE && !wslay_event_get_read_enabled(socket->wslay))
        judge_end(socket);
}

static void keep_alive(struct websocket *socket)
{
    int64_t now_ms = socket->now_ms;

    if (socket->message_since_ms && now_ms - socket->message_since_ms >= WEBSOCKET_MESSAGE_MS)
        violated(socket, "timeout", "a message that does not end within a minute");
    if (socket->ping_ms && now_ms - socket->ping_ms >= WEBSOCKET_PONG_MS)
        fault_set(&socket->fault, FAULT_PING_TIMEOUT, "nothing received for %d s after a ping",
                  WEBSOCKET_PONG_MS / 1000);
    if (!socket->heartbeat_ms || socket->ping_ms || socket->closing)
        return;
    if (now_ms - socket->last_sent_ms >= socket->heartbeat_ms &&
        queue(socket, WSLAY_PING, NULL, 0) == 0)
        socket->ping_ms = now_ms;
}

static bool closing_is_over(const struct websocket *socket)
{
    if (!socket->closing)
        return false;
    if (wslay_event_get_close_received(socket->wslay) && sent_everything(socket))
        return true;
    return socket->now_ms - socket->closing_since_ms >= WEBSOCKET_CLOSING_MS;
}

bool websocket_service(struct websocket *socket, int64_t now_ms, struct fault *fault)
{
    socket->now_ms = now_ms;
    meter(socket);
    write_out(socket);
    if (socket->fault.reason == FAULT_NONE)
        read_in(socket);
    if (socket->fault.reason == FAULT_NONE)
        keep_alive(socket);
    if (socket->fault.reason == FAULT_NONE) {
        write_out(socket);
        return !closing_is_over(socket);
    }
    write_out(socket); /* the close frame, if the peer still listens; without waiting */
    if (!socket->closing || socket->fault.reason != FAULT_CLOSED)
        fault_set(fault, socket->fault.reason, "%s", socket->fault.detail);
    return false;
}

uint16_t websocket_peer_close(const struct websocket *socket, const char **reason)
{
    *reason = socket->peer_reason;
    return socket->peer_status;
}

bool websocket_wants_read(const struct websocket *socket)
{
    return wslay_event_get_read_enabled(socket->wslay) &&
           wslay_event_get_queued_msg_count(socket->wslay) <= WEBSOCKET_QUEUE_MAX;
}

bool websocket_wants_write(const struct websocket *socket)
{
    return !sent_everything(socket);
}

static int64_t earlier(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

int64_t websocket_deadline_ms(const struct websocket *socket)
{
    int64_t deadline = WEBSOCKET_NEVER;

    if (socket->early_used < socket->early_length && websocket_wants_read(socket))
        return socket->now_ms;
    if (socket->message_since_ms)
        deadline = earlier(deadline, socket->message_since_ms + WEBSOCKET_MESSAGE_MS);
    if (socket->closing)
        return earlier(deadline, socket->closing_since_ms + WEBSOCKET_CLOSING_MS);
    if (socket->ping_ms)
        deadline = earlier(deadline, socket->ping_ms + WEBSOCKET_PONG_MS);
    else if (socket->heartbeat_ms)
        deadline = earlier(deadline, socket->last_sent_ms + socket->heartbeat_ms);
    return deadline;
}

size_t websocket_queued(const struct websocket *socket)
{
    return wslay_event_get_queued_msg_length(socket->wslay) + socket->out_used;
}

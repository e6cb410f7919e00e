/*
 * What the console sends after the upgrade. The first byte of the input says in which pieces the
 * network delivers the rest; every second service the transport takes nothing, so that the queue of
 * answers fills. Long binary messages are taken if the first byte is odd. At the end the connection
 * is lost. Whatever comes, memory and time stay bounded,
 * no text is longer than allowed, and the connection ends with a reason.
 */
#include "websocket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LONG_MAX_BYTES 262165

struct stream {
    const uint8_t *data;
    size_t left, piece;
    unsigned services;
};

static ssize_t on_read(void *user, void *out, size_t length)
{
    struct stream *stream = user;

    if (stream->left == 0)
        return -ECONNRESET;
    if (length > stream->piece)
        length = stream->piece;
    if (length > stream->left)
        length = stream->left;
    memcpy(out, stream->data, length);
    stream->data += length;
    stream->left -= length;
    return (ssize_t)length;
}

static ssize_t on_write(void *user, const void *bytes, size_t length)
{
    const struct stream *stream = user;

    (void)bytes;
    return stream->services % 2 ? -EAGAIN : (ssize_t)length;
}

static void on_text(void *user, const char *text, size_t length)
{
    (void)user;
    if (length > WEBSOCKET_MESSAGE_MAX || (length > 0 && memchr(text, 0xff, length)))
        abort();
}

static void on_binary(void *user, const void *bytes, size_t length)
{
    const struct stream *stream = user;

    if ((length > 0 && !bytes) ||
        length > (stream->piece % 2 ? WEBSOCKET_MESSAGE_MAX : LONG_MAX_BYTES))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct websocket_callbacks callbacks = {on_read, on_write, on_text, on_binary};
    struct stream stream = {data + 1, size - 1, 0, 0};
    struct websocket *socket;
    struct fault fault;
    int64_t now_ms = 1000;
    unsigned limit;

    if (size < 2)
        return 0;
    fault_clear(&fault);
    stream.piece = data[0] + 1u;
    limit = (unsigned)(4 * size + 1000);
    if (websocket_new(&socket, &callbacks, &stream, "", 0, now_ms) < 0)
        abort();
    websocket_heartbeat(socket, 1000);
    if (data[0] % 2)
        websocket_take_binary(socket, LONG_MAX_BYTES);
    while (websocket_service(socket, now_ms, &fault)) {
        if (websocket_deadline_ms(socket) < now_ms || ++stream.services > limit)
            abort();
        if (websocket_queued(socket) > (2u * 4096 + WEBSOCKET_QUEUE_MAX) * 126u + 20000)
            abort();
        now_ms += 10;
    }
    if (fault.reason == FAULT_NONE || fault.reason >= FAULT_COUNT)
        abort();
    websocket_free(socket);
    return 0;
}

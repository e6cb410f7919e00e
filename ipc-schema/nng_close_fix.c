/*
 * A repair of nng 1.5.2, linked in front of it with --wrap.
 *
 * When a connection closes while a transfer is half done, the ipc transport's callback asks for the
 * rest of it with nng_stream_send or nng_stream_recv on an aio that has been stopped meanwhile.
 * nni_aio_begin refuses a stopped aio without calling it back; the message's own aio, which waits
 * for that callback, never finishes, and nng_close waits for it for ever, and with it the one
 * thread that clears away every other connection of the process. Upstream met the same thing
 * (nanomsg/nng issues 1543 and 1813) and has since rewritten these parts.
 *
 * A peer that could make the broker hang by dying at the right moment would be a way to stop the
 * agent. So a refused transfer is finished here with NNG_ECLOSED, which is what its callback
 * expects to hear of a closed connection. channel_test closes connections in mid-transfer until it
 * would have met the hang a hundred times.
 */
#include <stdbool.h>
#include <nng/nng.h>

int __real_nni_aio_begin(nng_aio *aio);
int __wrap_nni_aio_begin(nng_aio *aio);
void __real_nng_stream_send(nng_stream *stream, nng_aio *aio);
void __wrap_nng_stream_send(nng_stream *stream, nng_aio *aio);
void __real_nng_stream_recv(nng_stream *stream, nng_aio *aio);
void __wrap_nng_stream_recv(nng_stream *stream, nng_aio *aio);
void nni_aio_finish_error(nng_aio *aio, int error);

/* The transfer that this thread is starting, and whether nng refused to begin it. */
static _Thread_local nng_aio *starting;
static _Thread_local bool refused;

int __wrap_nni_aio_begin(nng_aio *aio)
{
    int error = __real_nni_aio_begin(aio);
    if (error && aio == starting)
        refused = true;
    return error;
}

static void transfer(void (*start)(nng_stream *, nng_aio *), nng_stream *stream, nng_aio *aio)
{
    starting = aio;
    refused = false;
    start(stream, aio);
    starting = NULL;
    if (refused)
        nni_aio_finish_error(aio, NNG_ECLOSED);
}

void __wrap_nng_stream_send(nng_stream *stream, nng_aio *aio)
{
    transfer(__real_nng_stream_send, stream, aio);
}

void __wrap_nng_stream_recv(nng_stream *stream, nng_aio *aio)
{
    transfer(__real_nng_stream_recv, stream, aio);
}

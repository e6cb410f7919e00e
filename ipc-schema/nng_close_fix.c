/*
 * Two repairs of nng 1.5.2, linked in front of it with --wrap.
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
 *
 * For the same reason a message that is handed to a connection which has ended, but is not cleared
 * away yet, is neither sent nor given back: its aio is refused, nobody is called, and it stays in
 * memory for ever. Whoever may connect, ask and leave could fill the broker's memory that way. It
 * is freed here, as upstream does since (in ipc_pipe_send).
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
void __real_nni_pipe_send(void *pipe, nng_aio *aio);
void __wrap_nni_pipe_send(void *pipe, nng_aio *aio);

/* The transfer that this thread is starting, and whether nng refused to begin it. */
static _Thread_local nng_aio *starting;
static _Thread_local bool refused;
/* The same of a whole message; its transfer may be started within. */
static _Thread_local nng_aio *sending;
static _Thread_local bool unsent;

int __wrap_nni_aio_begin(nng_aio *aio)
{
    int error = __real_nni_aio_begin(aio);
    if (error && aio == starting)
        refused = true;
    if (error && aio == sending)
        unsent = true;
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

void __wrap_nni_pipe_send(void *pipe, nng_aio *aio)
{
    sending = aio;
    unsent = false;
    __real_nni_pipe_send(pipe, aio);
    sending = NULL;
    if (unsent) {
        nng_msg_free(nng_aio_get_msg(aio));
        nng_aio_set_msg(aio, NULL);
    }
}

/*
 * A bound on the connections that nng accepts at one endpoint, linked in front of it with --wrap.
 *
 * nng accepts without limit, and a connection is seen by us only when it has said which protocol it
 * speaks: whoever reaches an endpoint could open a thousand that say nothing and use up the
 * broker's descriptors. Every endpoint here is for one connection. A few more are let in, so that a
 * stranger who finds an endpoint (/proc/net/unix shows the paths) cannot keep its owner out by
 * being first; after that nothing is accepted any more.
 */
#include <pthread.h>
#include <stdbool.h>
#include <nng/nng.h>

#define ACCEPTS_PER_LISTENER 8
#define LISTENERS_MAX        256

void __real_nng_stream_listener_accept(nng_stream_listener *listener, nng_aio *aio);
void __wrap_nng_stream_listener_accept(nng_stream_listener *listener, nng_aio *aio);
void __real_nng_stream_listener_free(nng_stream_listener *listener);
void __wrap_nng_stream_listener_free(nng_stream_listener *listener);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
    nng_stream_listener *listener; /* NULL: free */
    unsigned accepts;
} counts[LISTENERS_MAX];

/* Counts one more accept. false: there have been enough, or there is no room to count. */
static bool may_accept(nng_stream_listener *listener)
{
    int vacant = -1, found = -1;
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < LISTENERS_MAX && found < 0; i++) {
        if (counts[i].listener == listener)
            found = i;
        else if (!counts[i].listener && vacant < 0)
            vacant = i;
    }
    if (found < 0 && vacant >= 0) {
        found = vacant;
        counts[found].listener = listener;
        counts[found].accepts = 0;
    }
    bool may = found >= 0 && counts[found].accepts++ < ACCEPTS_PER_LISTENER;
    pthread_mutex_unlock(&mutex);
    return may;
}

/* An accept that is not begun is simply never finished; closing the listener does not wait for it.
 */
void __wrap_nng_stream_listener_accept(nng_stream_listener *listener, nng_aio *aio)
{
    if (may_accept(listener))
        __real_nng_stream_listener_accept(listener, aio);
}

void __wrap_nng_stream_listener_free(nng_stream_listener *listener)
{
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < LISTENERS_MAX; i++)
        if (listener && counts[i].listener == listener)
            counts[i].listener = NULL;
    pthread_mutex_unlock(&mutex);
    __real_nng_stream_listener_free(listener);
}

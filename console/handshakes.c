#include "handshakes.h"

#include <stdlib.h>
#include <string.h>

/* libwebsockets takes it down when it next comes round, unless something arrives just then and sets
 * another time-out: so it is said again at every tick. */
static void cut_off(struct handshake *handshake)
{
    handshake->cut_off = true;
    lws_set_timeout(handshake->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
}

/* How many there are, of `network` if it is not NULL; the oldest goes to `*oldest`. */
static unsigned count(const struct handshakes *h, const char *network, struct handshake **oldest)
{
    unsigned n = 0;
    *oldest = NULL;
    for (struct handshake *at = h->newest; at; at = at->next) {
        if (at->cut_off || (network && strcmp(at->network, network) != 0))
            continue;
        *oldest = at;
        n++;
    }
    return n;
}

static void make_room(const struct handshakes *h, const char *network)
{
    struct handshake *oldest;
    if (count(h, network, &oldest) > h->connections / 4 + 1 ||
        count(h, NULL, &oldest) > h->connections / 2 + 1)
        cut_off(oldest);
}

void handshakes_begin(struct handshakes *h, struct lws *wsi, const char *address, uint64_t mono_ms)
{
    struct handshake *handshake = calloc(1, sizeof(*handshake));
    if (!handshake) {
        lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
        return;
    }
    handshake->wsi = wsi;
    handshake->since_ms = mono_ms;
    rate_network(handshake->network, address);
    handshake->next = h->newest;
    handshake->back = &h->newest;
    if (handshake->next)
        handshake->next->back = &handshake->next;
    h->newest = handshake;
    lws_set_opaque_user_data(wsi, handshake);
    make_room(h, handshake->network);
}

void handshakes_end(struct lws *wsi)
{
    struct handshake *handshake = lws_get_opaque_user_data(wsi);
    if (!handshake)
        return;
    lws_set_opaque_user_data(wsi, NULL);
    *handshake->back = handshake->next;
    if (handshake->next)
        handshake->next->back = handshake->back;
    free(handshake);
}

void handshakes_tick(struct handshakes *h, uint64_t mono_ms)
{
    struct handshake *oldest;
    unsigned all = count(h, NULL, &oldest);
    for (struct handshake *at = h->newest; at; at = at->next) {
        if (at->cut_off)
            cut_off(at);
        if (at->cut_off || mono_ms - at->since_ms <= HANDSHAKES_HURRY_MS)
            continue;
        if (all > h->connections / 4 || count(h, at->network, &oldest) > HANDSHAKES_PER_NETWORK) {
            cut_off(at);
            all--;
        }
    }
}

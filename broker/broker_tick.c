#include "broker.h"

#include <sys/random.h>

uint32_t broker_random(void)
{
    uint32_t n;
    return getrandom(&n, sizeof(n), 0) == sizeof(n) ? n : 0;
}

/* Clients that did not say Hello in time. */
static uint64_t clients_tick(struct broker *b, uint64_t now)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        struct client *c = &b->clients[i];
        if (!c->used || !c->peer->deadline_ms)
            continue;
        if (c->peer->deadline_ms <= now)
            door_end(b, c->peer);
        else if (c->peer->deadline_ms < next)
            next = c->peer->deadline_ms;
    }
    return next;
}

int broker_tick(struct broker *b)
{
    uint64_t now = monotonic_ms();
    uint64_t next[] = {
        connection_tick(b, now),
        supervisor_tick(b, now),
        router_tick(b, now),
        clients_tick(b, now),
    };
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < sizeof(next) / sizeof(next[0]); i++)
        first = next[i] < first ? next[i] : first;
    if (first == UINT64_MAX)
        return -1;
    return first <= now ? 0 : first - now > 60000 ? 60000 : (int)(first - now);
}

#include "broker.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

#define FIRST_RETRY_MS   1000
#define LAST_RETRY_MS    300000
#define REVOKED_RETRY_MS 3600000

/* The name to resolve and the host to dial: the proxy, where there is one. */
static const char *dialled_host(const struct broker *b)
{
    const struct agent_console *c = &b->config->console;
    return c->proxy_host[0] ? c->proxy_host : c->host;
}

static void set_phase(struct broker *b, ipc_UplinkPhase phase, ipc_UplinkReason reason,
                      const char *detail)
{
    b->uplink = (ipc_UplinkStatus){.phase = phase, .reason = reason, .since_ms = unix_ms()};
    snprintf(b->uplink.detail, sizeof(b->uplink.detail), "%s", detail);
}

void connection_init(struct broker *b)
{
    b->uplink_backoff = (struct backoff){.first_ms = FIRST_RETRY_MS, .most_ms = LAST_RETRY_MS};
    if (b->config->console.host[0]) {
        set_phase(b, ipc_UplinkPhase_UPLINK_WAITING, ipc_UplinkReason_UPLINK_OK, "starting");
        b->uplink_retry_at_ms = monotonic_ms();
    } else {
        set_phase(b, ipc_UplinkPhase_UPLINK_NOT_CONFIGURED, ipc_UplinkReason_UPLINK_OK,
                  "[console] host is not set");
    }
}

/* Not connected: say why, and when it will be tried again. */
static void wait_for_retry(struct broker *b, ipc_UplinkReason reason, const char *detail)
{
    uint32_t wait = backoff_next(&b->uplink_backoff, broker_random());
    /* docs/wire.md: nothing but an administrator changes a revocation. */
    if (reason == ipc_UplinkReason_UPLINK_REVOKED)
        wait = REVOKED_RETRY_MS;
    set_phase(b, ipc_UplinkPhase_UPLINK_WAITING, reason, detail);
    b->uplink.retry_at_ms = unix_ms() + wait;
    b->uplink_retry_at_ms = monotonic_ms() + wait;
    log_warning("not connected to %s:%u: %s; next attempt in %u s", b->config->console.host,
                b->config->console.port, detail, (wait + 999) / 1000);
    tickets_notice(b, false);
}

static bool parse_literal(const char *host, ipc_Address *out)
{
    *out = (ipc_Address){0};
    if (inet_pton(AF_INET, host, out->address.bytes) == 1)
        out->address.size = 4;
    else if (inet_pton(AF_INET6, host, out->address.bytes) == 1)
        out->address.size = 16;
    return out->address.size != 0;
}

uint64_t connection_tick(struct broker *b, uint64_t now)
{
    if (!b->uplink_retry_at_ms || b->stop_at_ms)
        return UINT64_MAX;
    /* Without a vault the console's challenge cannot be answered: wait for it. */
    if (!supervisor_serving(b, IPC_PEER_VAULT))
        return UINT64_MAX;
    if (b->uplink_retry_at_ms > now)
        return b->uplink_retry_at_ms;
    b->uplink_retry_at_ms = 0;
    if (parse_literal(dialled_host(b), &b->addresses[0])) {
        b->address_count = 1;
        set_phase(b, ipc_UplinkPhase_UPLINK_CONNECTING, ipc_UplinkReason_UPLINK_OK, "");
        supervisor_want(b, IPC_PEER_UPLINK);
    } else {
        set_phase(b, ipc_UplinkPhase_UPLINK_RESOLVING, ipc_UplinkReason_UPLINK_OK, "");
        supervisor_want(b, IPC_PEER_RESOLVER);
    }
    return now;
}

void connection_resolved(struct broker *b, struct peer *resolver, const ipc_ResolveAnswer *answer)
{
    struct supervised *w = supervisor_of_peer(b, resolver);
    if (answer->addresses_count == 0) {
        char detail[192];
        snprintf(detail, sizeof(detail), "%.90s: %s", dialled_host(b), answer->error);
        wait_for_retry(b, ipc_UplinkReason_UPLINK_NAME_NOT_RESOLVED, detail);
    } else {
        b->address_count = answer->addresses_count;
        memcpy(b->addresses, answer->addresses, sizeof(b->addresses));
        set_phase(b, ipc_UplinkPhase_UPLINK_CONNECTING, ipc_UplinkReason_UPLINK_OK, "");
        supervisor_want(b, IPC_PEER_UPLINK);
    }
    w->finished = true;
    supervisor_kill(b, w, "it has answered");
}

static bool connected(ipc_UplinkPhase phase)
{
    return phase == ipc_UplinkPhase_UPLINK_UNENROLLED || phase == ipc_UplinkPhase_UPLINK_PENDING ||
           phase == ipc_UplinkPhase_UPLINK_APPROVED;
}

void connection_state(struct broker *b, struct peer *uplink, const ipc_UplinkStatus *status)
{
    struct supervised *w = supervisor_of_peer(b, uplink);
    if (status->phase == ipc_UplinkPhase_UPLINK_WAITING) {
        /* Its last word: it has nothing left to do but to be reaped. */
        wait_for_retry(b, status->reason, status->detail);
        w->finished = true;
        supervisor_kill(b, w, status->detail);
        return;
    }
    bool was = connected(b->uplink.phase), is = connected(status->phase);
    set_phase(b, status->phase, status->reason, status->detail);
    if (is) {
        backoff_reset(&b->uplink_backoff);
        backoff_reset(&w->backoff);
    }
    if (is && !was)
        log_notice("connected to %s:%u", b->config->console.host, b->config->console.port);
    tickets_notice(b, false);
}

void connection_renew(struct broker *b)
{
    struct supervised *w = supervisor_of(b, IPC_PEER_UPLINK);
    bool up = w->peer && !w->peer->condemned;
    if (!up && !b->uplink_retry_at_ms)
        return; /* not configured, or on its way to connect with the new key */
    set_phase(b, ipc_UplinkPhase_UPLINK_WAITING, ipc_UplinkReason_UPLINK_OK,
              "connecting again with the new machine key");
    backoff_reset(&b->uplink_backoff);
    b->uplink_retry_at_ms = monotonic_ms() + FIRST_RETRY_MS;
    if (up) {
        w->finished = true;
        supervisor_kill(b, w, "the machine's key changed");
    }
    tickets_notice(b, false);
}

void connection_ended(struct broker *b, enum ipc_peer kind, const char *why)
{
    bool resolving = b->uplink.phase == ipc_UplinkPhase_UPLINK_RESOLVING;
    /* The resolver's end is news only while its answer is awaited; a reported end is old news. */
    if (b->uplink_retry_at_ms || (kind == IPC_PEER_RESOLVER) != resolving)
        return;
    wait_for_retry(b, ipc_UplinkReason_UPLINK_CLOSED, why);
}

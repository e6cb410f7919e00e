#include "broker.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define MESSAGES_A_ROUND 64 /* from one peer before the others get their turn */

/* ---- peers ---- */

static bool is_worker(const struct peer *peer)
{
    return peer->kind != IPC_PEER_TICKET && peer->kind != IPC_PEER_CONTROL &&
           peer->kind != IPC_PEER_ADMIN;
}

struct peer *peer_new(struct broker *b, enum ipc_peer kind)
{
    for (size_t i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &b->peers[i];
        if (peer->used)
            continue;
        *peer = (struct peer){
            .used = true,
            .kind = kind,
            .phase = IPC_PHASE_START,
            .serial = ++b->last_serial,
        };
        return peer;
    }
    return NULL;
}

struct peer *peer_by_serial(struct broker *b, uint64_t serial)
{
    for (size_t i = 0; serial && i < PEERS_MAX; i++)
        if (b->peers[i].used && b->peers[i].serial == serial)
            return &b->peers[i];
    return NULL;
}

void peer_violates(struct broker *b, struct peer *peer, const char *format, ...)
{
    char what[192];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    if (peer->condemned)
        return;
    b->refusals++;
    /* Workers are few and come back slowly; a user's program may come back a thousand times. */
    if (is_worker(peer) || log_ration_take(&b->client_alerts, "alerts about clients"))
        log_alert("%s[%d] uid %u: refused: %s; %s", ipc_peer_names[peer->kind], (int)peer->pid,
                  peer->uid, what, is_worker(peer) ? "killed" : "disconnected");
    if (is_worker(peer)) {
        char why[220];
        snprintf(why, sizeof(why), "killed for what it sent: %s", what);
        supervisor_kill(b, supervisor_of_peer(b, peer), why);
        return;
    }
    peer->condemned = true;
    door_end(b, peer);
}

void peer_end(struct broker *b, struct peer *peer)
{
    uint64_t serial = peer->serial;
    peer->condemned = true;
    event_loop_remove(b->loop, &peer->channel_source);
    peer->channel = channel_free(peer->channel);
    if (peer->ticket)
        ticket_end(b, peer->ticket);
    peer->used = false;
    requests_drop_asker(&b->requests, serial);
    for (struct request *r; (r = requests_owed_by(&b->requests, serial));) {
        struct request lost = *r;
        requests_remove(&b->requests, r);
        struct peer *asker = peer_by_serial(b, lost.asker);
        if (lost.timed_out)
            continue;
        if (lost.asker == REQUESTS_BROKER)
            handlers_answer(b, lost.type, lost.asker_number, NULL);
        else if (asker)
            router_refuse(b, asker, lost.asker_number, ipc_RefusalReason_PEER_GONE,
                          "it ended before it answered");
    }
}

/* ---- sending ---- */

/* A peer that does not take what it is sent cannot be served. */
static void not_taken(struct broker *b, struct peer *peer, int outcome)
{
    if (outcome == CHANNEL_OK || peer->condemned || outcome == CHANNEL_CLOSED)
        return;
    if (outcome < 0)
        log_error("cannot send to %s: %s", ipc_peer_names[peer->kind], strerror(-outcome));
    else
        peer_violates(b, peer, "it does not take its messages");
}

void router_notify(struct broker *b, struct peer *peer, uint16_t number, const void *body,
                   const void *blob, size_t blob_length)
{
    if (!peer->condemned)
        not_taken(b, peer, channel_send(peer->channel, number, 0, body, blob, blob_length));
}

void router_answer(struct broker *b, struct peer *peer, uint32_t request, uint16_t number,
                   const void *body, const void *blob, size_t blob_length)
{
    if (!peer->condemned)
        not_taken(b, peer, channel_send(peer->channel, number, request, body, blob, blob_length));
}

void router_refuse(struct broker *b, struct peer *peer, uint32_t request, ipc_RefusalReason reason,
                   const char *detail)
{
    ipc_Refused refused = {.reason = reason};
    snprintf(refused.detail, sizeof(refused.detail), "%s", detail);
    router_answer(b, peer, request, IPC_REFUSED, &refused, NULL, 0);
}

/* When an answer of `peer` is overdue. Only what goes over the network may take its time. */
static uint64_t answer_due_ms(struct broker *b, const struct peer *peer)
{
    const struct supervised *w = supervisor_of_peer(b, peer);
    return monotonic_ms() + (w && w->keep ? WORKER_WAIT_MS : REQUEST_WAIT_MS);
}

ipc_RefusalReason router_ask(struct broker *b, struct peer *peer, uint16_t number, uint32_t tag,
                             const void *body)
{
    uint32_t request = 0;
    if (requests_add(&b->requests, REQUESTS_BROKER, tag, peer->serial, number,
                     answer_due_ms(b, peer), &request) != REQUESTS_OK)
        return ipc_RefusalReason_BUSY;
    router_answer(b, peer, request, number, body, NULL, 0);
    return ipc_RefusalReason_REFUSED_UNSPECIFIED;
}

/* ---- receiving ---- */

static void relay_answer(struct broker *b, struct peer *from, struct message *message)
{
    struct envelope *e = &message->envelope;
    struct request *r = requests_find(&b->requests, from->serial, e->request);
    if (!r || !ipc_answers(e->type, r->type)) {
        peer_violates(b, from, "%s that answers nothing", e->type->name);
        return;
    }
    struct request asked = *r;
    requests_remove(&b->requests, r);
    if (asked.timed_out)
        return;
    if (asked.asker == REQUESTS_BROKER) {
        handlers_answer(b, asked.type, asked.asker_number, message);
        return;
    }
    struct peer *asker = peer_by_serial(b, asked.asker);
    if (!asker || asker->condemned)
        return;
    not_taken(b, asker, channel_forward(asker->channel, message, asked.asker_number, 0, 0));
}

static void relay_request(struct broker *b, struct peer *from, struct message *message)
{
    struct envelope *e = &message->envelope;
    uint32_t asked_as = e->request, number = 0;
    /* The schema's generator sees to it that such a route has exactly one receiver. */
    enum ipc_peer kind = (enum ipc_peer)__builtin_ctz(e->type->to);
    struct peer *to = supervisor_serving(b, kind);
    if (!to) {
        router_refuse(b, from, asked_as, ipc_RefusalReason_NOT_RUNNING,
                      "the process that would answer is not running; see 'cloister status'");
        return;
    }
    enum requests_outcome outcome = requests_add(&b->requests, from->serial, asked_as, to->serial,
                                                 e->number, answer_due_ms(b, to), &number);
    if (outcome == REQUESTS_DUPLICATE || outcome == REQUESTS_FLOOD) {
        peer_violates(b, from, "%s: %s", e->type->name,
                      outcome == REQUESTS_FLOOD ? "too many requests at once"
                                                : "a request number that is in use");
        return;
    }
    if (outcome == REQUESTS_BUSY) {
        router_refuse(b, from, asked_as, ipc_RefusalReason_BUSY, "too much is asked of it");
        return;
    }
    uint32_t ticket = from->ticket ? from->ticket->number : 0;
    if (e->type->inspected && !ticket_may_pass(b, from, to, message)) {
        struct request *r = requests_find(&b->requests, to->serial, number);
        if (r)
            requests_remove(&b->requests, r);
        return;
    }
    int sent = channel_forward(to->channel, message, number, ticket, from->uid);
    if (sent != CHANNEL_OK) {
        requests_remove(&b->requests, requests_find(&b->requests, to->serial, number));
        router_refuse(b, from, asked_as, ipc_RefusalReason_BUSY, "its queue is full");
    }
}

static void route(struct broker *b, struct peer *from, struct message *message)
{
    struct envelope *e = &message->envelope;
    enum peer_verdict verdict = peer_check(from, e, monotonic_ms());
    if (verdict != PEER_OK)
        peer_violates(b, from, "%s: %s", e->type->name, peer_verdict_name(verdict));
    else if (ipc_is_answer(e->type))
        relay_answer(b, from, message);
    else if (e->type->to >> IPC_PEER_BROKER & 1u)
        handlers_message(b, from, message);
    else
        relay_request(b, from, message);
}

/* The connection has ended: a client is done; a worker is of no use without it. */
static void channel_gone(struct broker *b, struct peer *peer)
{
    if (!is_worker(peer)) {
        peer->condemned = true;
        door_end(b, peer);
        return;
    }
    supervisor_kill(b, supervisor_of_peer(b, peer), ""); /* how it ended says why */
}

static void channel_ready(void *context, uint32_t events)
{
    (void)events;
    struct peer *peer = context;
    struct broker *b = peer->broker;
    uint64_t serial = peer->serial;
    for (int i = 0; i < MESSAGES_A_ROUND; i++) {
        struct message message;
        enum envelope_outcome why = ENVELOPE_OK;
        int outcome = channel_receive(peer->channel, &message, &why);
        if (outcome == CHANNEL_EMPTY)
            return;
        peer->received++;
        if (outcome == CHANNEL_OK) {
            route(b, peer, &message);
            message_free(&message);
        } else if (outcome == CHANNEL_MALFORMED) {
            peer_violates(b, peer, "a message that is malformed: %s", envelope_outcome_name(why));
        } else {
            channel_gone(b, peer);
        }
        if (!peer->used || peer->serial != serial || peer->condemned)
            return;
    }
}

void peer_watch(struct broker *b, struct peer *peer)
{
    peer->broker = b;
    peer->channel_source = (struct event_source){
        .fd = channel_fd(peer->channel),
        .ready = channel_ready,
        .context = peer,
    };
    int error = event_loop_add(b->loop, &peer->channel_source);
    if (error)
        log_error("cannot watch the channel of %s: %s", ipc_peer_names[peer->kind],
                  strerror(-error));
}

void router_wake(void *broker, uint32_t events)
{
    struct broker *b = broker;
    (void)events;
    uint64_t n;
    if (read(b->wake_fd, &n, sizeof(n)) < 0)
        return;
    for (size_t i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &b->peers[i];
        if (!peer->used || peer->condemned || !channel_closed(peer->channel))
            continue;
        /* What was received before the end still counts: an answer, or the reason of the end. */
        channel_ready(peer, 0);
        if (peer->used && !peer->condemned)
            channel_gone(b, peer);
    }
}

/* A worker that waits for nobody and does not answer is stuck: another one may do better. */
static void kill_if_stuck(struct broker *b, uint64_t serial)
{
    struct peer *peer = peer_by_serial(b, serial);
    struct supervised *w = peer ? supervisor_of_peer(b, peer) : NULL;
    if (!w || !w->keep || peer->condemned)
        return;
    log_alert("%s[%d] does not answer; killed", w->name, (int)peer->pid);
    supervisor_kill(b, w, "it did not answer in time");
}

uint64_t router_tick(struct broker *b, uint64_t now)
{
    for (struct request *r; (r = requests_overdue(&b->requests, now));) {
        r->timed_out = true; /* stays, so that a late answer is known for what it is */
        struct peer *asker = peer_by_serial(b, r->asker);
        if (r->asker == REQUESTS_BROKER)
            handlers_answer(b, r->type, r->asker_number, NULL);
        else if (asker)
            router_refuse(b, asker, r->asker_number, ipc_RefusalReason_TIMED_OUT,
                          "no answer in time");
        kill_if_stuck(b, r->answerer);
    }
    for (uint64_t hung; (hung = requests_hung_answerer(&b->requests, now));) {
        struct peer *peer = peer_by_serial(b, hung);
        struct supervised *w = peer ? supervisor_of_peer(b, peer) : NULL;
        if (!w || peer->condemned)
            break;
        supervisor_kill(b, w, "it does not answer");
    }
    return requests_next_deadline(&b->requests);
}

#include "broker.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "log.h"

struct ticket *ticket_of_uid(struct broker *b, uid_t uid)
{
    for (size_t i = 0; i < TICKETS_MAX; i++)
        if (b->tickets[i].used && b->tickets[i].peer->uid == uid)
            return &b->tickets[i];
    return NULL;
}

struct ticket *ticket_open(struct broker *b, struct peer *peer)
{
    for (size_t i = 0; i < TICKETS_MAX; i++) {
        struct ticket *t = &b->tickets[i];
        if (t->used)
            continue;
        *t = (struct ticket){.used = true, .number = ++b->last_ticket, .peer = peer};
        if (getrandom(t->id, sizeof(t->id), 0) != sizeof(t->id)) {
            t->used = false;
            return NULL;
        }
        peer->ticket = t;
        log_info("uid %u opened ticket %u", peer->uid, t->number);
        return t;
    }
    return NULL;
}

void ticket_end(struct broker *b, struct ticket *ticket)
{
    ipc_TicketEnded ended = {.ticket = ticket->number};
    static const enum ipc_peer told[] = {IPC_PEER_CAPTURE, IPC_PEER_UPLINK};
    /* Uplink learns of a ticket only by its offer: before consent it must not see even an end. */
    for (size_t i = 0; i < 2; i++) {
        struct peer *to = supervisor_serving(b, told[i]);
        if (to && (told[i] == IPC_PEER_CAPTURE || ticket->offered_to == to->serial))
            router_notify(b, to, IPC_TICKET_ENDED, &ended, NULL, 0);
    }
    log_info("ticket %u ended", ticket->number);
    consent_clear(&ticket->consent);
    ticket->peer->ticket = NULL;
    *ticket = (struct ticket){0};
}

void ticket_recipients_digest(const struct agent_config *config, uint8_t out[CONSENT_DIGEST])
{
    char text[AGENT_RECIPIENTS_MAX * 65 + 1] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < config->ticket.recipient_count; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s\n",
                                 config->ticket.recipients[i]);
    consent_sha256(out, (const uint8_t *)text, used);
}

static void refuse_consent(struct broker *b, struct ticket *t, ipc_RefusalReason reason,
                           const char *detail)
{
    uint32_t request = t->consent_request;
    t->consent_request = 0;
    consent_clear(&t->consent);
    router_refuse(b, t->peer, request, reason, detail);
}

void ticket_consent(struct broker *b, struct peer *peer, const struct message *message)
{
    struct ticket *t = peer->ticket;
    ipc_Consent said;
    uint8_t recipients[CONSENT_DIGEST];
    if (envelope_decode(&message->envelope, &said) != ENVELOPE_OK) {
        peer_violates(b, peer, "a Consent that does not decode");
        return;
    }
    if (t->consent_request) {
        peer_violates(b, peer, "a second Consent before the first was answered");
        return;
    }
    ticket_recipients_digest(b->config, recipients);
    if (memcmp(said.ticket, t->id, sizeof(t->id)) != 0) {
        peer_violates(b, peer, "a Consent that names another ticket");
        return;
    }
    if (!consent_same(recipients, said.recipients_digest)) {
        peer_violates(b, peer, "a Consent that names other recipients");
        return;
    }
    enum consent_outcome outcome =
        consent_set(&t->consent, said.size, b->config->ticket.max_bundle, said.digest,
                    message->envelope.blob, message->envelope.blob_length);
    if (outcome != CONSENT_OK) {
        peer_violates(b, peer, "a Consent whose size, digest and chunks do not agree");
        return;
    }
    t->consent_request = message->envelope.request;
    t->consent_ms = unix_ms();
    struct peer *vault = supervisor_serving(b, IPC_PEER_VAULT);
    if (!vault) {
        refuse_consent(b, t, ipc_RefusalReason_NOT_RUNNING, "the vault is not running");
        return;
    }
    ipc_SignOrigin sign = {.size = said.size, .consent_ms = t->consent_ms};
    memcpy(sign.ticket, t->id, sizeof(sign.ticket));
    memcpy(sign.digest, said.digest, sizeof(sign.digest));
    ipc_RefusalReason no = router_ask(b, vault, IPC_SIGN_ORIGIN, t->number, &sign);
    if (no)
        refuse_consent(b, t, no, "the vault is busy");
}

void ticket_origin(struct broker *b, uint32_t number, const struct message *answer)
{
    struct ticket *t = NULL;
    for (size_t i = 0; i < TICKETS_MAX; i++)
        if (b->tickets[i].used && b->tickets[i].number == number)
            t = &b->tickets[i];
    if (!t || !t->consent_request)
        return; /* given up in the meantime */
    ipc_OriginSigned signature;
    ipc_Refused refused;
    if (!answer) {
        /* Nothing is wrong with the consent: it may be given again to the next vault. */
        refuse_consent(b, t, ipc_RefusalReason_PEER_GONE, "the vault ended before it signed");
        return;
    }
    if (answer->envelope.number == IPC_REFUSED &&
        envelope_decode(&answer->envelope, &refused) == ENVELOPE_OK &&
        (refused.reason == ipc_RefusalReason_TOO_MANY ||
         refused.reason == ipc_RefusalReason_BUSY)) {
        /* Its ration is used up, perhaps by another user: this one only has to wait. */
        refuse_consent(b, t, ipc_RefusalReason_BUSY, "the vault signs no more for the moment");
        return;
    }
    if (answer->envelope.number != IPC_ORIGIN_SIGNED ||
        envelope_decode(&answer->envelope, &signature) != ENVELOPE_OK) {
        refuse_consent(b, t, ipc_RefusalReason_FAILED,
                       "the vault did not sign the bundle's origin");
        return;
    }
    memcpy(t->origin, signature.signature, sizeof(t->origin));
    uint32_t request = t->consent_request;
    t->consent_request = 0;
    t->peer->phase = IPC_PHASE_CONSENTED;
    log_notice("uid %u consented to send ticket %u: %llu bytes", t->peer->uid, t->number,
               (unsigned long long)t->consent.size);
    ipc_ConsentGranted granted = {.consent_ms = t->consent_ms};
    router_answer(b, t->peer, request, IPC_CONSENT_GRANTED, &granted, NULL, 0);
}

static void offer(struct broker *b, struct ticket *t, struct peer *uplink)
{
    ipc_BundleOffer o = {
        .number = t->number,
        .size = t->consent.size,
        .consent_ms = t->consent_ms,
        .recipients_count = (pb_size_t)b->config->ticket.recipient_count,
    };
    memcpy(o.ticket, t->id, sizeof(o.ticket));
    memcpy(o.digest, t->consent.digest, sizeof(o.digest));
    memcpy(o.origin, t->origin, sizeof(o.origin));
    for (pb_size_t i = 0; i < o.recipients_count; i++)
        snprintf(o.recipients[i], sizeof(o.recipients[i]), "%s", b->config->ticket.recipients[i]);
    t->offered_to = uplink->serial;
    router_notify(b, uplink, IPC_BUNDLE_OFFER, &o, t->consent.list,
                  (size_t)t->consent.chunks * CONSENT_DIGEST);
}

static const char *chunk_words(enum consent_outcome outcome)
{
    switch (outcome) {
    case CONSENT_PLACE:
        return "a chunk that the consent does not list";
    case CONSENT_LENGTH:
        return "a chunk of another length than was consented to";
    default:
        return "a chunk of other bytes than were consented to";
    }
}

bool ticket_may_pass(struct broker *b, struct peer *peer, struct peer *uplink,
                     const struct message *message)
{
    struct ticket *t = peer->ticket;
    const struct envelope *e = &message->envelope;
    if (b->uplink.phase != ipc_UplinkPhase_UPLINK_APPROVED) {
        router_refuse(b, peer, e->request, ipc_RefusalReason_NOT_RUNNING, "not connected");
        return false;
    }
    if (e->number == IPC_BUNDLE_BEGIN) {
        if (t->offered_to != uplink->serial)
            offer(b, t, uplink);
        if (uplink->condemned)
            router_refuse(b, peer, e->request, ipc_RefusalReason_PEER_GONE, "it has just ended");
        return !uplink->condemned;
    }
    ipc_BundleChunk chunk;
    if (envelope_decode(e, &chunk) != ENVELOPE_OK) {
        peer_violates(b, peer, "a BundleChunk that does not decode");
        return false;
    }
    enum consent_outcome outcome = consent_check(&t->consent, chunk.index, e->blob, e->blob_length);
    if (outcome != CONSENT_OK) {
        peer_violates(b, peer, "%s", chunk_words(outcome));
        return false;
    }
    return true;
}

void tickets_notice(struct broker *b, bool frames_forgotten)
{
    ipc_TicketNotice notice = {
        .has_uplink = true,
        .uplink = b->uplink,
        .has_capture = true,
        .capture = b->capture,
        .frames_forgotten = frames_forgotten,
    };
    for (size_t i = 0; i < TICKETS_MAX; i++) {
        struct ticket *t = &b->tickets[i];
        /* A ticket program that is suspended takes none: it hears the next one that fits. */
        if (t->used && t->peer->phase != IPC_PHASE_CLOSED && !t->peer->condemned &&
            channel_send(t->peer->channel, IPC_TICKET_NOTICE, 0, &notice, NULL, 0) < 0)
            log_warning("ticket %u: a notice could not be sent", t->number);
    }
}

#include "relay.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "log.h"
#include "report.h"

static struct session *session_of(const struct relay *relay)
{
    return relay->client ? client_session(relay->client) : NULL;
}

/* The message that `request` came in, as far as an answer needs it. */
static struct message asked(uint32_t request)
{
    return (struct message){.envelope = {.request = request}};
}

static void answer(struct relay *relay, uint32_t *request, uint16_t number, const void *body)
{
    struct message question = asked(*request);

    if (*request != 0)
        worker_answer(relay->worker, &question, number, body, NULL, 0);
    *request = 0;
}

static void refuse(struct relay *relay, uint32_t *request, ipc_RefusalReason reason,
                   const char *detail)
{
    struct message question = asked(*request);

    if (*request != 0)
        worker_refuse(relay->worker, &question, reason, detail);
    *request = 0;
}

/* Every request of the ticket that waits is answered: the broker keeps count of those that are not.
 */
static void refuse_all(struct relay *relay, struct relay_ticket *ticket, ipc_RefusalReason reason,
                       const char *detail)
{
    refuse(relay, &ticket->begin, reason, detail);
    for (size_t i = 0; i < UPLOAD_AHEAD_MAX; i++)
        refuse(relay, &ticket->chunk[i], reason, detail);
    refuse(relay, &ticket->finish, reason, detail);
}

static struct relay_ticket *find(struct relay *relay, uint32_t ticket)
{
    for (size_t i = 0; i < UPLOAD_OFFERS_MAX; i++)
        if (relay->tickets[i].ticket == ticket)
            return &relay->tickets[i];
    return NULL;
}

/* ---- what the console does ---- */

static void on_sign(void *user, const uint8_t *challenge, const uint8_t *binding)
{
    struct relay *relay = user;
    ipc_SignChallenge request = ipc_SignChallenge_init_zero;

    snprintf(request.host, sizeof request.host, "%s", relay->host);
    memcpy(request.challenge, challenge, sizeof request.challenge);
    memcpy(request.exporter, binding, sizeof request.exporter);
    relay->challenge = worker_request(relay->worker, IPC_SIGN_CHALLENGE, &request, NULL, 0);
}

static int64_t unix_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* More than a minute between the clocks is worth a line: certificates and consents have times. */
static void note_welcome(const struct relay *relay, const struct wire_message *welcome)
{
    int64_t skew_s = ((int64_t)welcome->time_ms - unix_ms()) / 1000;

    log_notice("connected (%s)", client_describe(relay->client));
    if (skew_s > 60 || skew_s < -60)
        log_warning("the console's clock differs from this one by %lld s", (long long)skew_s);
}

static void on_state(void *user, enum wire_state machine, const struct wire_message *welcome)
{
    struct relay *relay = user;
    ipc_UplinkState state;

    if (welcome)
        note_welcome(relay, welcome);
    log_notice("this machine is %s", wire_state_name(machine));
    report_connected(&state, machine);
    worker_notify(relay->worker, IPC_UPLINK_STATE, &state);
}

static void on_enrolled(void *user, bool accepted, const char *detail)
{
    struct relay *relay = user;
    ipc_Enrolled reply = {.accepted = accepted};

    snprintf(reply.detail, sizeof reply.detail, "%s", detail);
    log_notice("enrolment %s: %s", accepted ? "accepted" : "refused", detail);
    answer(relay, &relay->enroll, IPC_ENROLLED, &reply);
}

static void on_ready(struct relay *relay, struct relay_ticket *ticket, uint32_t next)
{
    ipc_BundleReady reply = {.next_chunk = next};

    log_info("ticket %u: the console takes it from chunk %u on", ticket->ticket, next);
    answer(relay, &ticket->begin, IPC_BUNDLE_READY, &reply);
}

static void on_taken(struct relay *relay, struct relay_ticket *ticket, uint32_t index)
{
    ipc_ChunkTaken reply = {.index = index};

    answer(relay, &ticket->chunk[index % UPLOAD_AHEAD_MAX], IPC_CHUNK_TAKEN, &reply);
}

static void give_receipt(struct relay *relay, struct relay_ticket *ticket, const char *number)
{
    ipc_BundleReceipt receipt = ipc_BundleReceipt_init_zero;

    snprintf(receipt.number, sizeof receipt.number, "%s", number);
    answer(relay, &ticket->finish, IPC_BUNDLE_RECEIPT, &receipt);
}

/* A bundle that was complete before it began answers the beginning with "nothing is missing". */
static void on_done(struct relay *relay, struct relay_ticket *ticket,
                    const struct upload_news *news)
{
    log_notice("ticket %u: the console has it as %s", ticket->ticket, news->number);
    if (ticket->begin != 0)
        on_ready(relay, ticket, news->index);
    give_receipt(relay, ticket, news->number);
}

static ipc_RefusalReason refusal_of(const char *code)
{
    if (strcmp(code, "busy") == 0 || strcmp(code, "storage") == 0)
        return ipc_RefusalReason_BUSY;
    if (strcmp(code, "not_approved") == 0 || strcmp(code, "bundle_too_large") == 0)
        return ipc_RefusalReason_NOT_ALLOWED;
    return ipc_RefusalReason_FAILED;
}

static void on_failed(struct relay *relay, struct relay_ticket *ticket,
                      const struct upload_news *news)
{
    ipc_RefusalReason reason = refusal_of(news->code);
    struct fault detail;

    fault_clear(&detail);
    fault_set(&detail, FAULT_DENIED, "the console says %s: %.120s", news->code, news->text);
    log_warning("ticket %u: %s", ticket->ticket, detail.detail);
    refuse_all(relay, ticket, reason, detail.detail);
}

static void on_news(void *user, const struct upload_news *news)
{
    struct relay *relay = user;
    struct relay_ticket *ticket = find(relay, news->ticket);

    if (!ticket)
        return;
    switch (news->event) {
    case UPLOAD_READY:
        on_ready(relay, ticket, news->index);
        break;
    case UPLOAD_TAKEN:
        on_taken(relay, ticket, news->index);
        break;
    case UPLOAD_DONE:
        on_done(relay, ticket, news);
        break;
    case UPLOAD_FAILED:
        on_failed(relay, ticket, news);
        break;
    }
}

const struct client_callbacks relay_callbacks = {on_sign, on_state, on_enrolled, on_news};

/* ---- what the broker brings ---- */

static const char *rotation_of(ipc_KeyOrigin origin)
{
    switch (origin) {
    case ipc_KeyOrigin_KEY_DISK_CHANGED:
        return "disk";
    case ipc_KeyOrigin_KEY_BOARD_CHANGED:
        return "board";
    case ipc_KeyOrigin_KEY_DISK_AND_BOARD_CHANGED:
        return "disk+board";
    default:
        return NULL;
    }
}

static void signed_challenge(struct relay *relay, const struct message *message, int64_t now_ms)
{
    ipc_ChallengeSigned reply;
    struct wire_authenticate authenticate = {0};

    worker_decode(relay->worker, message, &reply);
    memcpy(authenticate.signature, reply.signature, sizeof authenticate.signature);
    memcpy(authenticate.public_key, reply.key.public_key, sizeof authenticate.public_key);
    memcpy(authenticate.machine_id, reply.key.machine_id, sizeof authenticate.machine_id);
    authenticate.rotation_reason = rotation_of(reply.key.origin);
    if (reply.key.has_previous && authenticate.rotation_reason)
        authenticate.previous_machine_id = reply.key.previous_id;
    relay->challenge = 0;
    if (session_signed(session_of(relay), &authenticate, now_ms) != 0)
        fault_set(&relay->fault, FAULT_LOCAL, "the sign-in cannot be sent");
}

static void refused(struct relay *relay, const struct message *message)
{
    ipc_Refused reply;

    worker_decode(relay->worker, message, &reply);
    if (relay->challenge == 0 || message->envelope.request != relay->challenge)
        worker_fail(WORKER_EXIT_PROTOCOL, "the broker refuses what nobody asked for");
    relay->challenge = 0;
    fault_set(&relay->fault, FAULT_VAULT, "the vault does not sign: %s", reply.detail);
}

static void enroll(struct relay *relay, const struct message *message, int64_t now_ms)
{
    ipc_Enroll request;
    struct session *session = session_of(relay);
    uint32_t number = message->envelope.request;
    int rc = SESSION_NOT_NOW;

    worker_decode(relay->worker, message, &request);
    if (session)
        rc = session_enroll(session, request.token, relay->facts->name,
                            relay->facts->os[0] ? relay->facts->os : NULL, now_ms);
    explicit_bzero(&request, sizeof request);
    if (rc == 0)
        relay->enroll = number;
    else if (rc == SESSION_ALREADY_ENROLLED)
        refuse(relay, &number, ipc_RefusalReason_NOT_ALLOWED, "this machine is already enrolled");
    else if (rc == SESSION_BAD_TOKEN)
        refuse(relay, &number, ipc_RefusalReason_BAD_REQUEST,
               "a token has 16 to 128 printable characters");
    else
        refuse(relay, &number, ipc_RefusalReason_BUSY,
               "not signed in at the console yet, or another enrolment is under way");
}

static bool bundle_of(struct wire_bundle *out, const ipc_BundleOffer *offer, size_t digests)
{
    *out = (struct wire_bundle){.size = offer->size, .consent_time_ms = offer->consent_ms};
    memcpy(out->ticket, offer->ticket, sizeof out->ticket);
    memcpy(out->digest, offer->digest, sizeof out->digest);
    memcpy(out->signature, offer->origin, sizeof out->signature);
    out->recipient_count = offer->recipients_count;
    for (size_t i = 0; i < out->recipient_count; i++)
        out->recipients[i] = offer->recipients[i];
    out->chunks = wire_chunks(out->size);
    return out->chunks != 0 && digests == (size_t)out->chunks * WIRE_DIGEST_SIZE;
}

static void offer(struct relay *relay, const struct message *message)
{
    struct session *session = session_of(relay);
    struct relay_ticket *ticket;
    struct wire_bundle bundle;
    ipc_BundleOffer said;
    int rc = UPLOAD_BAD_OFFER;

    worker_decode(relay->worker, message, &said);
    if (!session || said.number == 0)
        worker_fail(WORKER_EXIT_PROTOCOL, "the broker offers a bundle without a session");
    ticket = find(relay, said.number);
    if (!ticket)
        ticket = find(relay, 0);
    if (ticket && bundle_of(&bundle, &said, message->envelope.blob_length))
        rc = uploads_offer(session_uploads(session), said.number, &bundle, message->envelope.blob);
    if (rc == 0) {
        ticket->ticket = said.number;
        ticket->chunks = bundle.chunks;
    } else {
        log_warning("the bundle of ticket %u is not taken (%d)", said.number, rc);
    }
}

static void refuse_upload(struct relay *relay, uint32_t *request, int rc)
{
    switch (rc) {
    case UPLOAD_NO_SUCH:
        refuse(relay, request, ipc_RefusalReason_NO_SUCH, "no bundle was offered for this ticket");
        break;
    case UPLOAD_TOO_LARGE:
        refuse(relay, request, ipc_RefusalReason_NOT_ALLOWED,
               "the bundle is larger than the console takes");
        break;
    case UPLOAD_BUSY:
        refuse(relay, request, ipc_RefusalReason_BUSY,
               "the console has not answered for earlier bundles");
        break;
    case UPLOAD_LENGTH:
    case UPLOAD_ORDER:
        refuse(relay, request, ipc_RefusalReason_BAD_REQUEST, "not the chunk that comes next");
        break;
    default:
        refuse(relay, request, ipc_RefusalReason_FAILED, "out of memory");
    }
}

static void begin(struct relay *relay, const struct message *message, int64_t now_ms)
{
    struct session *session = session_of(relay);
    struct relay_ticket *ticket = find(relay, message->envelope.ticket);
    uint32_t number = message->envelope.request;
    const char *receipt;
    int rc;

    if (!session || !session_is_open(session) || session_state(session) != WIRE_APPROVED) {
        refuse(relay, &number, ipc_RefusalReason_NOT_RUNNING,
               "the console has not approved this machine");
        return;
    }
    if (!ticket) {
        refuse_upload(relay, &number, UPLOAD_NO_SUCH);
        return;
    }
    /* Begun again by a program that gave up waiting: nobody waits for what was asked before. */
    refuse_all(relay, ticket, ipc_RefusalReason_BUSY, "the upload was begun again");
    ticket->begin = number;
    rc = uploads_receipt(session_uploads(session), ticket->ticket, &receipt);
    if (rc == 0 && receipt) {
        on_ready(relay, ticket, ticket->chunks);
        return;
    }
    rc = uploads_begin(session_uploads(session), ticket->ticket, now_ms);
    if (rc != 0)
        refuse_upload(relay, &ticket->begin, rc);
}

static void chunk(struct relay *relay, const struct message *message, int64_t now_ms)
{
    struct session *session = session_of(relay);
    struct relay_ticket *ticket = find(relay, message->envelope.ticket);
    uint32_t number = message->envelope.request;
    ipc_BundleChunk said;
    uint32_t *place;
    int rc;

    worker_decode(relay->worker, message, &said);
    place = ticket ? &ticket->chunk[said.index % UPLOAD_AHEAD_MAX] : NULL;
    if (!session || !ticket || *place != 0) {
        refuse_upload(relay, &number, ticket && session ? UPLOAD_ORDER : UPLOAD_NO_SUCH);
        return;
    }
    *place = number; /* uploads_chunk may answer it at once */
    rc = uploads_chunk(session_uploads(session), ticket->ticket, said.index, message->envelope.blob,
                       message->envelope.blob_length, now_ms);
    if (rc != 0)
        refuse_upload(relay, place, rc);
}

static void finish(struct relay *relay, const struct message *message)
{
    struct session *session = session_of(relay);
    struct relay_ticket *ticket = find(relay, message->envelope.ticket);
    uint32_t number = message->envelope.request;
    const char *receipt = NULL;
    int rc = UPLOAD_NO_SUCH;

    if (session && ticket && ticket->finish == 0)
        rc = uploads_receipt(session_uploads(session), ticket->ticket, &receipt);
    if (rc != 0) {
        refuse_upload(relay, &number, rc);
        return;
    }
    ticket->finish = number;
    if (receipt)
        give_receipt(relay, ticket, receipt);
}

static void ended(struct relay *relay, const struct message *message, int64_t now_ms)
{
    ipc_TicketEnded said;
    struct relay_ticket *ticket;

    worker_decode(relay->worker, message, &said);
    ticket = said.ticket ? find(relay, said.ticket) : NULL;
    if (!ticket)
        return;
    refuse_all(relay, ticket, ipc_RefusalReason_NO_SUCH, "the ticket has ended");
    *ticket = (struct relay_ticket){0};
    if (session_of(relay))
        uploads_end(session_uploads(session_of(relay)), said.ticket, now_ms);
}

void relay_message(struct relay *relay, const struct message *message, int64_t now_ms)
{
    if (relay_command_message(relay, message, now_ms))
        return;
    switch (message->envelope.number) {
    case IPC_CHALLENGE_SIGNED:
        if (relay->challenge == 0 || message->envelope.request != relay->challenge)
            worker_fail(WORKER_EXIT_PROTOCOL, "a signature that nobody asked for");
        signed_challenge(relay, message, now_ms);
        break;
    case IPC_REFUSED:
        refused(relay, message);
        break;
    case IPC_ENROLL:
        enroll(relay, message, now_ms);
        break;
    case IPC_BUNDLE_OFFER:
        offer(relay, message);
        break;
    case IPC_BUNDLE_BEGIN:
        begin(relay, message, now_ms);
        break;
    case IPC_BUNDLE_CHUNK:
        chunk(relay, message, now_ms);
        break;
    case IPC_BUNDLE_FINISH:
        finish(relay, message);
        break;
    case IPC_TICKET_ENDED:
        ended(relay, message, now_ms);
        break;
    default:
        worker_fail(WORKER_EXIT_PROTOCOL, "the broker sent %s, which nothing here asked for",
                    message->envelope.type->name);
    }
}

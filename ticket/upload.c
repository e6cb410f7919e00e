#include "upload.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Chunks handed over and not yet taken: enough to keep the connection busy. */
#define WINDOW 4
/* Between two attempts to begin; the schema's quota is 5 a second. */
#define RETRY_MS 1000

/* A chunk on its way. */
struct sent {
    uint32_t request; /* 0: free */
    uint32_t index;
};

struct upload {
    struct agent *agent;
    const struct chunk_list *chunks;
    ipc_Consent consent; /* the user's word, said again if the vault was away */
    enum upload_state state;
    uint32_t request; /* Consent, BundleBegin or BundleFinish under way; 0: none */
    struct sent window[WINDOW];
    uint32_t next;  /* chunk to send */
    uint32_t taken; /* chunks below this are taken */
    uint64_t now_ms, not_before_ms;
    bool handed_over; /* all chunks were, on this connection or an earlier one */
    char number[48], why[192];
};

static void fail(struct upload *upload, const char *why)
{
    upload->state = UPLOAD_FAILED;
    upload->request = 0;
    memset(upload->window, 0, sizeof(upload->window));
    snprintf(upload->why, sizeof(upload->why), "%s", why);
}

/*
 * The connection is gone, or the console takes nothing now, for the reason `why`: the answers to
 * what is under way no longer matter.
 */
static void wait_for_console(struct upload *upload, const char *why)
{
    snprintf(upload->why, sizeof(upload->why), "%s", why);
    upload->state = UPLOAD_WAITING;
    upload->request = 0;
    memset(upload->window, 0, sizeof(upload->window));
    upload->not_before_ms = upload->now_ms + RETRY_MS;
}

/* The vault is away. */
static void consent_later(struct upload *upload, const char *why)
{
    snprintf(upload->why, sizeof(upload->why), "%s", why);
    upload->not_before_ms = upload->now_ms + RETRY_MS;
}

static void ask(struct upload *upload, uint16_t number, const void *body)
{
    if (agent_ask(upload->agent, number, body, NULL, 0, &upload->request))
        fail(upload, "the agent is gone");
}

/* As the broker computes it of its configuration: each recipient and a line feed. */
static void recipients_digest(const ipc_TicketConfig *config, uint8_t out[32])
{
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    for (pb_size_t i = 0; i < config->recipients_count; i++) {
        const char *text = config->recipients[i];
        crypto_hash_sha256_update(&state, (const uint8_t *)text, strlen(text));
        crypto_hash_sha256_update(&state, (const uint8_t *)"\n", 1);
    }
    crypto_hash_sha256_final(&state, out);
}

static int ask_consent(struct upload *upload)
{
    const struct chunk_list *chunks = upload->chunks;
    return agent_ask(upload->agent, IPC_CONSENT, &upload->consent, chunk_list_digests(chunks),
                     (size_t)chunk_list_count(chunks) * CHUNK_DIGEST_BYTES, &upload->request);
}

int upload_new(struct upload **out, struct agent *agent, const struct chunk_list *chunks)
{
    struct upload *upload = calloc(1, sizeof(*upload));
    if (!upload)
        return -ENOMEM;
    upload->agent = agent;
    upload->chunks = chunks;
    const ipc_TicketConfig *config = agent_config(agent);
    ipc_Consent consent = {.size = chunk_list_size(chunks)};
    memcpy(consent.ticket, config->ticket, sizeof(consent.ticket));
    memcpy(consent.digest, chunk_list_digest(chunks), sizeof(consent.digest));
    recipients_digest(config, consent.recipients_digest);
    upload->consent = consent;
    int result = ask_consent(upload);
    if (result) {
        free(upload);
        return result;
    }
    *out = upload;
    return 0;
}

struct upload *upload_free(struct upload *upload)
{
    free(upload);
    return NULL;
}

static bool worth_waiting(ipc_RefusalReason reason)
{
    return reason == ipc_RefusalReason_NOT_RUNNING || reason == ipc_RefusalReason_PEER_GONE ||
           reason == ipc_RefusalReason_BUSY || reason == ipc_RefusalReason_TIMED_OUT;
}

static void on_refused(struct upload *upload, const struct message *message)
{
    ipc_Refused refused;
    if (envelope_decode(&message->envelope, &refused) != ENVELOPE_OK)
        fail(upload, "the agent's answer makes no sense");
    else if (upload->state == UPLOAD_CONSENTING && worth_waiting(refused.reason))
        consent_later(upload, refused.detail);
    else if (worth_waiting(refused.reason))
        wait_for_console(upload, refused.reason == ipc_RefusalReason_BUSY ? refused.detail : "");
    else
        fail(upload, refused.detail[0] ? refused.detail : "the agent refused");
}

static void on_granted(struct upload *upload)
{
    upload->why[0] = '\0';
    upload->state = UPLOAD_WAITING;
}

static void on_ready(struct upload *upload, const struct message *message)
{
    ipc_BundleReady ready;
    if (message->envelope.number != IPC_BUNDLE_READY ||
        envelope_decode(&message->envelope, &ready) != ENVELOPE_OK ||
        ready.next_chunk > chunk_list_count(upload->chunks)) {
        fail(upload, "the agent's answer makes no sense");
        return;
    }
    upload->why[0] = '\0';
    upload->next = upload->taken = ready.next_chunk;
    upload->state = UPLOAD_SENDING;
}

static void on_receipt(struct upload *upload, const struct message *message)
{
    ipc_BundleReceipt receipt;
    if (message->envelope.number != IPC_BUNDLE_RECEIPT ||
        envelope_decode(&message->envelope, &receipt) != ENVELOPE_OK) {
        fail(upload, "the agent's answer makes no sense");
        return;
    }
    snprintf(upload->number, sizeof(upload->number), "%s", receipt.number);
    upload->state = UPLOAD_DONE;
}

static void on_taken(struct upload *upload, const struct message *message, struct sent *sent)
{
    ipc_ChunkTaken taken;
    if (message->envelope.number != IPC_CHUNK_TAKEN ||
        envelope_decode(&message->envelope, &taken) != ENVELOPE_OK || taken.index != sent->index) {
        fail(upload, "the agent's answer makes no sense");
        return;
    }
    *sent = (struct sent){0};
    if (taken.index >= upload->taken)
        upload->taken = taken.index + 1;
}

static void on_answer(struct upload *upload, const struct message *message)
{
    upload->request = 0;
    if (message->envelope.number == IPC_REFUSED)
        on_refused(upload, message);
    else if (upload->state == UPLOAD_CONSENTING && message->envelope.number == IPC_CONSENT_GRANTED)
        on_granted(upload);
    else if (upload->state == UPLOAD_WAITING)
        on_ready(upload, message);
    else if (upload->state == UPLOAD_FINISHING)
        on_receipt(upload, message);
    else
        fail(upload, "the agent's answer makes no sense");
}

bool upload_message(struct upload *upload, const struct message *message)
{
    uint32_t request = message->envelope.request;
    if (request == 0)
        return false;
    if (request == upload->request) {
        on_answer(upload, message);
        return true;
    }
    for (int i = 0; i < WINDOW; i++) {
        if (upload->window[i].request != request)
            continue;
        if (message->envelope.number == IPC_REFUSED)
            on_refused(upload, message);
        else
            on_taken(upload, message, &upload->window[i]);
        return true;
    }
    return false;
}

static bool send_chunk(struct upload *upload, struct sent *slot)
{
    size_t length;
    const uint8_t *chunk = chunk_list_chunk(upload->chunks, upload->next, &length);
    ipc_BundleChunk body = {.index = upload->next};
    if (agent_ask(upload->agent, IPC_BUNDLE_CHUNK, &body, chunk, length, &slot->request)) {
        fail(upload, "the agent is gone");
        return false;
    }
    slot->index = upload->next++;
    return true;
}

static void send_more(struct upload *upload)
{
    const uint32_t count = chunk_list_count(upload->chunks);
    bool idle = true;
    for (int i = 0; i < WINDOW; i++) {
        if (!upload->window[i].request && upload->next < count &&
            !send_chunk(upload, &upload->window[i]))
            return;
        idle &= !upload->window[i].request;
    }
    if (idle && upload->next == count) {
        const ipc_BundleFinish body = ipc_BundleFinish_init_zero;
        upload->state = UPLOAD_FINISHING;
        upload->handed_over = true;
        ask(upload, IPC_BUNDLE_FINISH, &body);
    }
}

int upload_tick(struct upload *upload, uint64_t now_ms)
{
    upload->now_ms = now_ms;
    if (upload->state == UPLOAD_SENDING)
        send_more(upload);
    bool consenting = upload->state == UPLOAD_CONSENTING;
    if ((!consenting && upload->state != UPLOAD_WAITING) || upload->request ||
        (!consenting && !agent_connected_to_console(upload->agent)))
        return -1;
    if (now_ms < upload->not_before_ms)
        return (int)(upload->not_before_ms - now_ms);
    if (consenting) {
        if (ask_consent(upload))
            fail(upload, "the agent is gone");
        return -1;
    }
    const ipc_BundleBegin body = ipc_BundleBegin_init_zero;
    upload->not_before_ms = now_ms + RETRY_MS;
    ask(upload, IPC_BUNDLE_BEGIN, &body);
    return -1;
}

enum upload_state upload_state(const struct upload *upload)
{
    return upload->state;
}

uint64_t upload_progress(const struct upload *upload)
{
    uint64_t bytes = (uint64_t)upload->taken * CHUNK_BYTES;
    uint64_t size = chunk_list_size(upload->chunks);
    return bytes < size ? bytes : size;
}

bool upload_may_have_arrived(const struct upload *upload)
{
    return upload->handed_over;
}

const char *upload_number(const struct upload *upload)
{
    return upload->number;
}

const char *upload_why(const struct upload *upload)
{
    return upload->why;
}

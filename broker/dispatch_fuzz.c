/*
 * The broker's decisions about what peers say, without channels and thus fast: parse, policy,
 * matching of answers with requests, consent. tests/refusal/router_fuzz.c does it over real ones.
 *
 * The input is a row of messages: speaker (peer, phase), time that passes, flags, length in two
 * bytes, the message. A model beside the code knows what may at most be let through.
 */
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "cloister.pb.h"
#include "consent.h"
#include "peer.h"
#include "requests.h"

#define STRUCTURE_MAX  65536
#define MESSAGE_HEADER 5
#define MAX_BUNDLE     (UINT64_C(1) << 30)

enum flag {
    FLAG_ANSWER = 1,  /* under the number of a request that is outstanding */
    FLAG_CONSENT = 2, /* with the right digest of its list */
    FLAG_NEW = 4,     /* the speaker is a new instance: the old one's channel ends */
};

_Static_assert(sizeof(ipc_Welcome) < STRUCTURE_MAX && sizeof(ipc_StatusReply) < STRUCTURE_MAX,
               "the largest structures fit");

struct speaker {
    struct peer peer;
    uint64_t born_ms;
    uint32_t accepted[IPC_TYPE_LIMIT];
};

static struct speaker speakers[IPC_PEER_LIMIT];
static struct requests requests;
static struct consent consent;
static uint64_t last_serial, now_ms;
static alignas(max_align_t) uint8_t structure[STRUCTURE_MAX];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Policy is a table: what was reached of it counts as coverage (libFuzzer's extra counters). */
#define DECODED 8
#define MATCHED 9
__attribute__((section("__libfuzzer_extra_counters"),
               used)) static uint8_t reached[IPC_PEER_LIMIT][IPC_TYPE_LIMIT][16];

static void reach(const struct speaker *speaker, const struct envelope *e, int what)
{
    reached[speaker->peer.kind][e->number][what] = 1;
}

static void must(int condition)
{
    if (!condition)
        abort();
}

static void end(struct speaker *speaker)
{
    uint64_t serial = speaker->peer.serial;
    requests_drop_asker(&requests, serial);
    for (struct request *r; (r = requests_owed_by(&requests, serial));)
        requests_remove(&requests, r);
}

static void begin(struct speaker *speaker, enum ipc_peer kind)
{
    *speaker = (struct speaker){.born_ms = now_ms};
    speaker->peer = (struct peer){.used = true, .kind = kind, .serial = ++last_serial};
}

static void reset(void)
{
    requests = (struct requests){0};
    consent_clear(&consent);
    now_ms = 1;
    last_serial = 0;
    for (int kind = 0; kind < IPC_PEER_LIMIT; kind++)
        begin(&speakers[kind], (enum ipc_peer)kind);
}

/* No more of a type than its route says, whatever the order and the times. */
static void count(struct speaker *speaker, const struct envelope *e)
{
    uint32_t accepted = ++speaker->accepted[e->number];
    uint64_t lived_ms = now_ms - speaker->born_ms;
    if (e->type->once)
        must(accepted == 1);
    if (e->type->per_second)
        must(accepted <= e->type->per_second + e->type->per_second * lived_ms / 1000);
}

static void on_answer(struct speaker *speaker, const struct envelope *e)
{
    struct request *r = requests_find(&requests, speaker->peer.serial, e->request);
    if (!r || !ipc_answers(e->type, r->type))
        return;
    must(r->number == e->request && r->answerer == speaker->peer.serial);
    must(ipc_types[r->type].to >> speaker->peer.kind & 1u);
    reach(speaker, e, MATCHED);
    requests_remove(&requests, r);
    must(requests_find(&requests, speaker->peer.serial, e->request) == NULL); /* one answer */
}

static void on_request(struct speaker *speaker, const struct envelope *e)
{
    uint32_t number = 0;
    const struct speaker *to = &speakers[__builtin_ctz(e->type->to)];
    size_t before = requests.count;
    enum requests_outcome outcome =
        requests_add(&requests, speaker->peer.serial, e->request, to->peer.serial, e->number,
                     now_ms + 1000, &number);
    must(requests.count == before + (outcome == REQUESTS_OK) && requests.count <= REQUESTS_MAX);
    if (outcome == REQUESTS_OK)
        must(number != 0 && requests_find(&requests, to->peer.serial, number) != NULL);
}

static void on_consent(const struct envelope *e, uint8_t flags)
{
    ipc_Consent *said = (ipc_Consent *)structure;
    if (flags & FLAG_CONSENT)
        consent_sha256(said->digest, e->blob, e->blob_length);
    if (consent_set(&consent, said->size, MAX_BUNDLE, said->digest, e->blob, e->blob_length) !=
        CONSENT_OK)
        return;
    must(consent.size <= MAX_BUNDLE && consent.chunks == e->blob_length / CONSENT_DIGEST);
    must(consent.size <= (uint64_t)consent.chunks * CONSENT_CHUNK);
    must(consent.size > (uint64_t)(consent.chunks - 1) * CONSENT_CHUNK);
}

static void on_chunk(const struct envelope *e)
{
    const ipc_BundleChunk *chunk = (const ipc_BundleChunk *)structure;
    uint8_t digest[CONSENT_DIGEST];
    if (consent_check(&consent, chunk->index, e->blob, e->blob_length) != CONSENT_OK)
        return;
    must(chunk->index < consent.chunks);
    consent_sha256(digest, e->blob, e->blob_length);
    must(memcmp(digest, consent.list + chunk->index * CONSENT_DIGEST, sizeof digest) == 0);
}

static void dispatch(struct speaker *speaker, const struct envelope *e, uint8_t flags)
{
    enum peer_verdict verdict = peer_check(&speaker->peer, e, now_ms);
    must(peer_verdict_name(verdict)[0] != '?');
    reach(speaker, e, (int)verdict);
    if (verdict != PEER_OK)
        return;
    must(e->ticket == 0 && e->uid == 0);
    must(e->type->from >> speaker->peer.kind & 1u);
    must(e->type->phases >> speaker->peer.phase & 1u);
    must((ipc_is_answer(e->type) || ipc_is_request(e->number)) == (e->request != 0));
    count(speaker, e);
    if (ipc_is_answer(e->type))
        on_answer(speaker, e);
    else if (e->request != 0)
        on_request(speaker, e);
    if (envelope_decode(e, structure) != ENVELOPE_OK)
        return;
    reach(speaker, e, DECODED);
    if (e->number == IPC_CONSENT)
        on_consent(e, flags);
    else if (e->number == IPC_BUNDLE_CHUNK)
        on_chunk(e);
}

static uint32_t outstanding(const struct speaker *speaker)
{
    const struct request *r = requests_owed_by(&requests, speaker->peer.serial);
    return r ? r->number : 1;
}

static void take(const uint8_t *head, const uint8_t *message, size_t length)
{
    struct speaker *speaker = &speakers[(head[0] & 15) % IPC_PEER_LIMIT];
    struct envelope e;
    now_ms += head[1];
    if (head[2] & FLAG_NEW) {
        end(speaker);
        begin(speaker, speaker->peer.kind);
    }
    speaker->peer.phase = (enum ipc_phase)((head[0] >> 4) % IPC_PHASE_LIMIT);
    if (envelope_parse(&e, message, length) != ENVELOPE_OK)
        return;
    if (head[2] & FLAG_ANSWER)
        e.request = outstanding(speaker);
    dispatch(speaker, &e, head[2]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    reset();
    while (size >= MESSAGE_HEADER) {
        const uint8_t *head = data;
        size_t length = (size_t)(head[3] | head[4] << 8);
        data += MESSAGE_HEADER;
        size -= MESSAGE_HEADER;
        length = length > size ? size : length;
        take(head, data, length);
        data += length;
        size -= length;
    }
    return 0;
}

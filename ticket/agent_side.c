#include "agent_side.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <sodium.h>
#include <cmocka.h>

#include "channel.h"
#include "cloister.pb.h"
#include "listing.h"
#include "sample.h"
#include "seal.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "agent_side.c:%d: %s\n", __LINE__, #condition);                        \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

struct side {
    enum scenario scenario;
    struct channel *channel;
    struct seal *seal;
    uint8_t *records[SIDE_COUNT];
    size_t lengths[SIDE_COUNT];
    uint8_t *list; /* consented digests */
    uint64_t size;
    uint32_t next_chunk, begun, consents;
    int lost_once, received, door;
};

static void notify_uplink(struct side *side, ipc_UplinkPhase phase);

static struct message take(struct side *side)
{
    struct message message;
    enum envelope_outcome why;
    int outcome;
    while ((outcome = channel_receive(side->channel, &message, &why)) == CHANNEL_EMPTY) {
        struct pollfd wait[] = {{.fd = channel_fd(side->channel), .events = POLLIN},
                                {.fd = side->door, .events = POLLIN}};
        int ready = poll(wait, 2, 200);
        /* The client has left; as the broker, which reads nothing there. */
        if (wait[1].revents && !wait[0].revents)
            _exit(0);
        if (ready == 0 && side->scenario == OFFLINE_FIRST && side->seal)
            notify_uplink(side, ipc_UplinkPhase_UPLINK_APPROVED);
    }
    if (outcome == CHANNEL_CLOSED)
        _exit(0);
    CHECK(outcome == CHANNEL_OK);
    CHECK(ipc_granted(message.envelope.type, IPC_PEER_TICKET, IPC_PHASE_START) ||
          ipc_granted(message.envelope.type, IPC_PEER_TICKET, IPC_PHASE_REVIEW) ||
          ipc_granted(message.envelope.type, IPC_PEER_TICKET, IPC_PHASE_CONSENTED));
    return message;
}

static void answer(struct side *side, const struct message *to, uint16_t number, const void *body,
                   const void *blob, size_t length)
{
    CHECK(channel_send(side->channel, number, to->envelope.request, body, blob, length) == 0);
}

static void refuse(struct side *side, const struct message *to, ipc_RefusalReason reason,
                   const char *detail)
{
    ipc_Refused refused = {.reason = reason, .pid = 4711};
    snprintf(refused.detail, sizeof(refused.detail), "%s", detail);
    answer(side, to, IPC_REFUSED, &refused, NULL, 0);
}

static void notify_uplink(struct side *side, ipc_UplinkPhase phase)
{
    ipc_TicketNotice notice = {.has_uplink = true, .uplink = {.phase = phase}};
    CHECK(channel_send(side->channel, IPC_TICKET_NOTICE, 0, &notice, NULL, 0) == 0);
}

static void on_hello(struct side *side, const struct message *message)
{
    ipc_Hello hello;
    static ipc_Welcome welcome;
    CHECK(envelope_decode(&message->envelope, &hello) == ENVELOPE_OK);
    CHECK(memcmp(hello.schema_digest, ipc_schema_digest, 32) == 0);
    if (side->scenario == ALREADY_OPEN) {
        refuse(side, message, ipc_RefusalReason_ALREADY_OPEN, "already open in process 4711");
        return;
    }
    welcome.which_config = ipc_Welcome_ticket_tag;
    ipc_TicketConfig *config = &welcome.config.ticket;
    config->number = SIDE_TICKET_NUMBER;
    config->ticket[0] = 9;
    strcpy(config->destination, "console.example.org:443");
    config->recipients_count = 1;
    strcpy(config->recipients[0], "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj");
    config->max_bundle_bytes = 1 << 30;
    config->has_uplink = true;
    config->auto_consent = side->scenario == AUTO_CONSENT;
    config->has_capture = true;
    config->capture.phase = ipc_CapturePhase_CAPTURE_CAPTURING;
    config->uplink.phase = side->scenario == OFFLINE || side->scenario == OFFLINE_FIRST
                               ? ipc_UplinkPhase_UPLINK_WAITING
                               : ipc_UplinkPhase_UPLINK_APPROVED;
    answer(side, message, IPC_WELCOME, &welcome, NULL, 0);
}

static void on_key(struct side *side, const struct message *message)
{
    ipc_SessionKey key;
    ipc_SessionKeyReply reply;
    CHECK(envelope_decode(&message->envelope, &key) == ENVELOPE_OK);
    if (side->scenario == NO_CAPTURE) {
        refuse(side, message, ipc_RefusalReason_NOT_RUNNING, "capture is not running");
        return;
    }
    CHECK(seal_accept(&side->seal, SIDE_TICKET_NUMBER, key.public_key, reply.public_key) == 0);
    answer(side, message, IPC_SESSION_KEY_REPLY, &reply, NULL, 0);
}

/* Five frames a listing, so that there are several. */
static void on_list(struct side *side, const struct message *message)
{
    ipc_FrameList list;
    static uint8_t listing[65536], sealed[65536];
    size_t used = 0;
    CHECK(envelope_decode(&message->envelope, &list) == ENVELOPE_OK);
    uint32_t first = (uint32_t)list.after, frames = SIDE_COUNT - first < 5 ? SIDE_COUNT - first : 5;
    for (uint32_t i = first; i < first + frames; i++)
        CHECK(listing_append(listing, sizeof(listing), &used, side->records[i], side->lengths[i]) ==
              FRAME_OK);
    ipc_FrameListing head = {.frames = frames, .more = first + frames < SIDE_COUNT};
    struct seal_label label = {SEAL_LISTING, list.after, frames, head.more};
    CHECK(seal_close(side->seal, &label, listing, used, sealed, sizeof(sealed)) == SEAL_OK);
    if (side->scenario == LISTING_CHANGED && first > 0)
        sealed[10] ^= 1;
    answer(side, message, IPC_FRAME_LISTING, &head, sealed, used + SEAL_OVERHEAD);
}

/* Parts of 1000 bytes. */
static void on_fetch(struct side *side, const struct message *message)
{
    ipc_FrameFetch fetch;
    uint8_t sealed[1000 + SEAL_OVERHEAD];
    CHECK(envelope_decode(&message->envelope, &fetch) == ENVELOPE_OK);
    CHECK(fetch.frame >= 1 && fetch.frame <= SIDE_COUNT);
    if (side->scenario == BROKER_GONE && fetch.frame == 5)
        _exit(0);
    if (side->scenario == FRAME_GONE && fetch.frame == 1) {
        refuse(side, message, ipc_RefusalReason_NO_SUCH, "gone");
        return;
    }
    size_t total = side->lengths[fetch.frame - 1], at = (size_t)fetch.part * 1000;
    CHECK(at < total);
    size_t length = total - at < 1000 ? total - at : 1000;
    ipc_FramePart head = {fetch.frame, fetch.part, (uint32_t)((total + 999) / 1000)};
    struct seal_label label = {SEAL_PART, head.frame, head.part, head.parts};
    CHECK(seal_close(side->seal, &label, side->records[fetch.frame - 1] + at, length, sealed,
                     sizeof(sealed)) == SEAL_OK);
    if (side->scenario == PART_CHANGED && fetch.frame == 4)
        sealed[length / 2] ^= 1;
    answer(side, message, IPC_FRAME_PART, &head, sealed, length + SEAL_OVERHEAD);
}

static void on_consent(struct side *side, const struct message *message)
{
    ipc_Consent consent;
    uint8_t digest[32];
    const struct envelope *e = &message->envelope;
    CHECK(envelope_decode(e, &consent) == ENVELOPE_OK);
    CHECK(consent.ticket[0] == 9);
    CHECK(e->blob_length == (consent.size + 262143) / 262144 * 32);
    crypto_hash_sha256(digest, e->blob, e->blob_length);
    CHECK(memcmp(digest, consent.digest, 32) == 0);
    crypto_hash_sha256(digest,
                       (const uint8_t *)"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73eq"
                                        "unujwj\n",
                       63);
    CHECK(memcmp(digest, consent.recipients_digest, 32) == 0);
    if (side->scenario == CONSENT_REFUSED) {
        refuse(side, message, ipc_RefusalReason_FAILED, "the vault did not sign");
        return;
    }
    if (side->scenario == VAULT_AWAY && side->consents++ == 0) {
        refuse(side, message, ipc_RefusalReason_NOT_RUNNING, "the vault is not running");
        return;
    }
    side->list = malloc(e->blob_length);
    memcpy(side->list, e->blob, e->blob_length);
    side->size = consent.size;
    ipc_ConsentGranted granted = {.consent_ms = 1};
    answer(side, message, IPC_CONSENT_GRANTED, &granted, NULL, 0);
}

static void on_chunk(struct side *side, const struct message *message)
{
    ipc_BundleChunk chunk;
    uint8_t digest[32];
    const struct envelope *e = &message->envelope;
    CHECK(envelope_decode(e, &chunk) == ENVELOPE_OK);
    if (side->lost_once == 1) {
        /* What was under way when the connection broke. */
        refuse(side, message, ipc_RefusalReason_PEER_GONE, "uplink is gone");
        return;
    }
    CHECK(chunk.index == side->next_chunk);
    crypto_hash_sha256(digest, e->blob, e->blob_length);
    CHECK(memcmp(digest, side->list + chunk.index * 32, 32) == 0);
    uint32_t last = (uint32_t)((side->size - 1) / 262144);
    if (side->scenario == CONSOLE_LOST && chunk.index == (last < 3 ? last : 3) &&
        !side->lost_once) {
        side->lost_once = 1;
        notify_uplink(side, ipc_UplinkPhase_UPLINK_WAITING);
        refuse(side, message, ipc_RefusalReason_PEER_GONE, "uplink is gone");
        notify_uplink(side, ipc_UplinkPhase_UPLINK_APPROVED);
        side->next_chunk = chunk.index < 2 ? 0 : 2;
        return;
    }
    CHECK(pwrite(side->received, e->blob, e->blob_length, (off_t)chunk.index * 262144) ==
          (ssize_t)e->blob_length);
    side->next_chunk++;
    ipc_ChunkTaken taken = {.index = chunk.index};
    answer(side, message, IPC_CHUNK_TAKEN, &taken, NULL, 0);
}

static void on_begin(struct side *side, const struct message *message)
{
    side->begun++;
    side->lost_once *= 2;
    ipc_BundleReady ready = {.next_chunk = side->next_chunk};
    answer(side, message, IPC_BUNDLE_READY, &ready, NULL, 0);
}

static void on_finish(struct side *side, const struct message *message)
{
    CHECK(side->next_chunk == (side->size + 262143) / 262144);
    CHECK(side->begun == (side->scenario == CONSOLE_LOST ? 2 : 1));
    ipc_BundleReceipt receipt = {.number = "T-000123"};
    answer(side, message, IPC_BUNDLE_RECEIPT, &receipt, NULL, 0);
}

static void serve(struct side *side)
{
    for (;;) {
        struct message message = take(side);
        switch (message.envelope.number) {
        case IPC_HELLO:
            on_hello(side, &message);
            break;
        case IPC_SESSION_KEY:
            on_key(side, &message);
            break;
        case IPC_FRAME_LIST:
            on_list(side, &message);
            break;
        case IPC_FRAME_FETCH:
            on_fetch(side, &message);
            break;
        case IPC_CONSENT:
            on_consent(side, &message);
            break;
        case IPC_BUNDLE_BEGIN:
            on_begin(side, &message);
            break;
        case IPC_BUNDLE_CHUNK:
            on_chunk(side, &message);
            break;
        case IPC_BUNDLE_FINISH:
            on_finish(side, &message);
            break;
        case IPC_TICKET_CANCEL:
            _exit(0);
        default:
            CHECK(!"expected");
        }
        message_free(&message);
    }
}

static int open_door(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "agent/door/ticket"};
    mkdir("agent", 0700);
    mkdir("agent/door", 0700);
    unlink(address.sun_path);
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    return listener;
}

static void stand_at_door(struct side *side, int listener)
{
    struct ucred who;
    socklen_t length = sizeof(who);
    int door = side->door = accept(listener, NULL, NULL);
    CHECK(getsockopt(door, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0);
    if (side->scenario == TURNED_AWAY) {
        CHECK(send(door, "no not today", 12, 0) == 12);
        _exit(0);
    }
    unlink("agent/door/endpoint");
    CHECK(channel_listen(&side->channel, "agent/door/endpoint", IPC_PEER_TICKET, -1) == 0);
    channel_expect(side->channel, who.pid, who.uid);
    CHECK(send(door, "ok agent/door/endpoint", 22, 0) == 22);
}

pid_t agent_side_start(enum scenario scenario)
{
    int listener = open_door();
    pid_t child = fork();
    if (child == 0) {
        static struct side side;
        struct frame_info info;
        side.scenario = scenario;
        alarm(60); /* nobody comes, or nobody goes */
        struct sample *sample = sample_new(SIDE_WIDTH, SIDE_HEIGHT);
        for (int i = 0; i < SIDE_COUNT; i++)
            side.records[i] = sample_record(sample, i == 6, &side.lengths[i], &info);
        side.received = open("received", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        stand_at_door(&side, listener);
        serve(&side);
    }
    assert_true(child > 0);
    close(listener);
    return child;
}

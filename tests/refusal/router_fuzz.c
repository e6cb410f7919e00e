/*
 * Fuzzes the broker's dispatch over real channels: one byte chooses who speaks, the rest is what it
 * says. Whatever that is, the broker must go on serving everybody else.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "world.h"

enum speaker { SPEAKER_REVIEW = SUPERVISED, SPEAKER_CONSENTED, SPEAKER_ADMIN, SPEAKERS };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world *w;
static struct client_end client;

/* What the broker passed on is read and dropped, so that no queue fills. */
static void drain(void)
{
    struct message m;
    enum envelope_outcome why;
    for (int i = 0; i < SUPERVISED; i++)
        while (w->ends[i].channel && w->ends[i].serving &&
               channel_receive(w->ends[i].channel, &m, &why) == CHANNEL_OK)
            message_free(&m);
}

struct awaited {
    uint64_t serial, received;
};

static bool is_heard(struct world *world, void *arg)
{
    struct awaited *a = arg;
    struct peer *peer = peer_by_serial(&world->b, a->serial);
    drain();
    return !peer || peer->condemned || peer->received > a->received;
}

static bool is_over(struct world *world, void *arg)
{
    struct awaited *a = arg;
    drain();
    return !peer_by_serial(&world->b, a->serial);
}

static struct peer *newest_peer(void)
{
    return peer_by_serial(&w->b, w->b.last_serial);
}

static struct channel *speak_as(unsigned who, struct peer **peer)
{
    if (who < SUPERVISED) {
        *peer = w->b.workers[who].peer;
        return w->ends[who].channel;
    }
    enum ipc_peer kind = who == SPEAKER_ADMIN ? IPC_PEER_ADMIN : IPC_PEER_TICKET;
    enum ipc_phase phase = who == SPEAKER_ADMIN    ? IPC_PHASE_SERVE
                           : who == SPEAKER_REVIEW ? IPC_PHASE_REVIEW
                                                   : IPC_PHASE_CONSENTED;
    world_client(w, &client, kind, phase);
    *peer = newest_peer();
    return client.channel;
}

static void end_world(void)
{
    world_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!w) {
        w = world_new();
        atexit(end_world);
    }
    if (size < 1)
        return 0;
    unsigned who = data[0] % SPEAKERS;
    struct peer *peer = NULL;
    world_all_serve(w);
    if (who == RUN_RUNNER)
        world_worker(w, RUN_RUNNER, IPC_PHASE_SERVE);
    drain();
    struct channel *channel = speak_as(who, &peer);
    struct awaited awaited = {.serial = peer->serial, .received = peer->received};
    if (channel_send_raw(channel, data + 1, size - 1) != CHANNEL_OK)
        abort();
    world_run(w, is_heard, &awaited);
    if (who >= SUPERVISED) {
        world_client_end(&client);
        world_run(w, is_over, &awaited);
    }
    /* Nobody but the speaker may suffer; uplink and resolver end by what they themselves say. */
    for (unsigned i = 0; i < STANDING; i++)
        if (i != who && !supervisor_serving(&w->b, w->b.workers[i].kind) && i != RUN_UPLINK)
            abort();
    return 0;
}

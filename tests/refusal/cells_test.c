/*
 * Every (sender, type, phase) cell that the schema does not grant, sent over a real channel. The
 * sender must be cut off, and nobody else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "fixture.h"

struct cell {
    enum ipc_peer peer;
    enum ipc_phase phase;
    uint16_t type;
};

static const struct cell cells[] = {
#define X(peer, phase, type) {IPC_PEER_##peer, IPC_PHASE_##phase, IPC_##type},
#include "ipc_refused.h"
#undef X
};

static struct worker_end before[SUPERVISED];

static int index_of(enum ipc_peer kind)
{
    for (int i = 0; i < SUPERVISED; i++)
        if (w->b.workers[i].kind == kind)
            return i;
    return -1;
}

static size_t build(uint8_t *out, uint16_t type)
{
    bool numbered = ipc_is_answer(&ipc_types[type]) || ipc_is_request(type);
    envelope_write(out, type, numbered ? 4242 : 0, 0, 0);
    return ENVELOPE_HEADER;
}

static bool refused_once(struct world *world, void *arg)
{
    return world->b.refusals == *(uint32_t *)arg + 1;
}

static void others_go_on(int except)
{
    for (int i = 0; i < STANDING; i++) {
        if (i == except)
            continue;
        assert_non_null(supervisor_serving(&w->b, w->b.workers[i].kind));
        assert_int_equal(w->ends[i].generation, before[i].generation);
    }
}

static void send_as_worker(const struct cell *cell, int index)
{
    uint8_t raw[ENVELOPE_HEADER];
    world_worker(w, index, cell->phase);
    uint32_t refusals = w->b.refusals;
    size_t length = build(raw, cell->type);
    assert_int_equal(channel_send_raw(w->ends[index].channel, raw, length), CHANNEL_OK);
    world_run(w, refused_once, &refusals);
    await_killed(index);
    others_go_on(index);
}

static bool is_gone(struct world *world, void *arg)
{
    (void)world;
    return client_gone(arg);
}

static void send_as_client(const struct cell *cell)
{
    uint8_t raw[ENVELOPE_HEADER];
    struct client_end c;
    world_client(w, &c, cell->peer, cell->phase);
    uint32_t refusals = w->b.refusals;
    size_t length = build(raw, cell->type);
    assert_int_equal(channel_send_raw(c.channel, raw, length), CHANNEL_OK);
    world_run(w, refused_once, &refusals);
    world_run(w, is_gone, &c);
    others_go_on(-1);
    world_client_end(&c);
}

static void every_cell_is_refused(void **state)
{
    (void)state;
    size_t count = sizeof(cells) / sizeof(cells[0]);
    assert_int_equal(count, IPC_REFUSED_CELLS);
    for (size_t i = 0; i < count; i++) {
        world_all_serve(w);
        int index = index_of(cells[i].peer);
        world_drain(w, RUN_VAULT); /* of what runners it has lost */
        world_drain(w, RUN_UPLINK);
        if (index >= 0 && cells[i].phase == IPC_PHASE_START && w->b.workers[index].peer) {
            /* A fresh instance, that has not said Ready. */
            supervisor_kill(&w->b, &w->b.workers[index], "test");
            await_killed(index);
        }
        memcpy(before, w->ends, sizeof(before));
        if (index >= 0)
            send_as_worker(&cells[i], index);
        else
            send_as_client(&cells[i]);
    }
    printf("%zu cells sent, %zu refused\n", count, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_cell_is_refused, fixture_new, fixture_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

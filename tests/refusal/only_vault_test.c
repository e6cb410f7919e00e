/*
 * Only the vault can make a runner start: everybody else says everything, in every phase in which
 * they could do harm, and the monitor, which the test plays, is never asked for one. The vault that
 * the test plays is an honest one: it makes nothing of what reaches it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pb_encode.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"

/* Every type, with an empty body and with a RunnerWanted's, whether or not it is that peer's. */
static size_t build(uint8_t *out, uint16_t type, bool with_body, size_t capacity)
{
    bool numbered = ipc_is_answer(&ipc_types[type]) || ipc_is_request(type);
    ipc_RunnerWanted wanted = {
        .number = 1, .profile = ipc_CommandProfile_PROFILE_DIAGNOSTIC, .kid = "forged"};
    size_t length = 0;
    if (with_body) {
        pb_ostream_t stream =
            pb_ostream_from_buffer(out + ENVELOPE_HEADER, capacity - ENVELOPE_HEADER);
        assert_true(pb_encode(&stream, ipc_RunnerWanted_fields, &wanted));
        length = stream.bytes_written;
    }
    envelope_write(out, type, numbered ? 4242 : 0, (uint32_t)length, 0);
    return ENVELOPE_HEADER + length;
}

static void drain_all(void)
{
    for (int i = 0; i < SUPERVISED; i++)
        if (w->ends[i].serving)
            world_drain(w, i);
}

static bool is_heard(struct world *world, void *arg)
{
    const uint64_t *serial_and_count = arg;
    struct peer *peer = peer_by_serial(&world->b, serial_and_count[0]);
    return !peer || peer->condemned || peer->received > serial_and_count[1];
}

static void say_and_see(struct channel *channel, struct peer *peer, uint16_t type, bool with_body)
{
    uint8_t raw[ENVELOPE_HEADER + 256];
    uint64_t awaited[2] = {peer->serial, peer->received};
    unsigned runners = w->commands.runner_starts;
    size_t length = build(raw, type, with_body, sizeof(raw));
    assert_int_equal(channel_send_raw(channel, raw, length), CHANNEL_OK);
    world_run(w, is_heard, awaited);
    world_settle(w);
    drain_all(); /* what was passed on; no honest vault would make a RunnerWanted of it */
    assert_int_equal(w->commands.runner_starts, runners);
}

static unsigned said;

static void say_everything_as_worker(int index)
{
    for (uint16_t type = 0; type < IPC_TYPE_LIMIT; type++) {
        for (int with_body = 0; with_body < 2; with_body++) {
            if (!ipc_types[type].name)
                continue;
            world_worker(w, index, IPC_PHASE_SERVE);
            drain_all();
            say_and_see(w->ends[index].channel, w->b.workers[index].peer, type, with_body);
            said++;
        }
    }
}

static void say_everything_as_client(enum ipc_peer kind, enum ipc_phase phase)
{
    for (uint16_t type = 0; type < IPC_TYPE_LIMIT; type++) {
        for (int with_body = 0; with_body < 2; with_body++) {
            struct client_end c;
            if (!ipc_types[type].name)
                continue;
            world_client(w, &c, kind, phase);
            say_and_see(c.channel, peer_by_serial(&w->b, w->b.last_serial), type, with_body);
            world_client_end(&c);
            world_all_serve(w);
            drain_all();
            said++;
        }
    }
}

static void nobody_else_starts_a_runner(void **state)
{
    (void)state;
    said = 0;
    say_everything_as_worker(RUN_UPLINK);
    w->b.uplink.phase = ipc_UplinkPhase_UPLINK_APPROVED;
    say_everything_as_worker(RUN_CAPTURE);
    say_everything_as_worker(RUN_RESOLVER);
    world_all_serve(w);
    say_everything_as_client(IPC_PEER_ADMIN, IPC_PHASE_SERVE);
    say_everything_as_client(IPC_PEER_CONTROL, IPC_PHASE_SERVE);
    say_everything_as_client(IPC_PEER_TICKET, IPC_PHASE_REVIEW);
    say_everything_as_client(IPC_PEER_TICKET, IPC_PHASE_CONSENTED);
    assert_int_equal(w->commands.runner_starts, 0);
    assert_int_equal(w->commands.process_starts, 0);
    say_everything_as_worker(RUN_RUNNER); /* of which world_worker has the vault want each one */
    printf("%u messages of all types: no runner\n", said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(nobody_else_starts_a_runner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Signed commands at the broker: a runner's life, what becomes of one that cannot be started or
 * dies, and what a runner may not say. The test plays the monitor, the vault, uplink and the runner
 * over their real channels.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exit_code.h"
#include "fixture.h"

#define DIAGNOSTIC ipc_CommandProfile_PROFILE_DIAGNOSTIC

/* ---- conditions ---- */

static bool runner_started(struct world *world, void *arg)
{
    return world->commands.runner_starts == *(unsigned *)arg;
}

static void await_runners(unsigned count)
{
    world_run(w, runner_started, &count);
}

static bool is_over(struct world *world, void *arg)
{
    (void)arg;
    return !world->b.command.live && !world->b.command.generation;
}

static bool is_released(struct world *world, void *arg)
{
    (void)arg;
    return world->commands.released;
}

/* The next message at a worker's end, of that type, decoded into `out`; returns its request. */
static uint32_t expect(int index, uint16_t number, void *out)
{
    struct message m;
    world_receive(w, w->ends[index].channel, &m);
    if (m.envelope.number != number)
        fail_msg("%s instead of %s", m.envelope.type->name, ipc_types[number].name);
    assert_int_equal(envelope_decode(&m.envelope, out), ENVELOPE_OK);
    uint32_t request = m.envelope.request;
    message_free(&m);
    return request;
}

static void expect_nothing(int index)
{
    struct message m;
    enum envelope_outcome why;
    world_settle(w);
    assert_int_equal(channel_receive(w->ends[index].channel, &m, &why), CHANNEL_EMPTY);
}

/* Command `number` is over: the vault hears why, and uplink that it is. */
static void expect_lost(uint32_t number, const char *word)
{
    ipc_CommandLost lost;
    ipc_CommandEnded ended;
    expect(RUN_VAULT, IPC_COMMAND_LOST, &lost);
    assert_int_equal(lost.number, number);
    assert_string_equal(lost.reason, word);
    expect(RUN_UPLINK, IPC_COMMAND_ENDED, &ended);
    assert_memory_equal(ended.token, &number, sizeof(number));
    world_run(w, is_over, NULL);
}

static void send_to(int index, uint16_t number, uint32_t request, const void *body)
{
    assert_int_equal(channel_send(w->ends[index].channel, number, request, body, NULL, 0),
                     CHANNEL_OK);
}

/* A runner that serves, for command 1. */
static void serve_runner(void)
{
    world_want_runner(w, 1, DIAGNOSTIC);
    await_runners(w->commands.runner_starts + 1);
    world_worker(w, RUN_RUNNER, IPC_PHASE_SERVE);
    world_run(w, is_released, NULL);
}

static void fetch(void)
{
    ipc_CommandFetch said = {.number = 1}, got;
    ipc_CommandOrder order = {.tag = {7}};
    send_to(RUN_RUNNER, IPC_COMMAND_FETCH, 1, &said);
    uint32_t request = expect(RUN_VAULT, IPC_COMMAND_FETCH, &got);
    send_to(RUN_VAULT, IPC_COMMAND_ORDER, request, &order);
    expect(RUN_RUNNER, IPC_COMMAND_ORDER, &order);
    assert_int_equal(order.tag[0], 7);
}

/* ---- the life of a command ---- */

static void a_command_s_life(void **state)
{
    static ipc_Welcome welcome;
    struct message m;
    int runner = RUN_RUNNER;
    (void)state;
    world_want_runner(w, 77, ipc_CommandProfile_PROFILE_USER);
    await_runners(1);
    assert_int_equal(w->commands.runner.profile, MONITOR_PROFILE_USER);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(w->commands.runner.digest[i], 0xd1);
    world_run(w, is_released, NULL);
    assert_string_equal(w->commands.process.kind, "cmd-user");
    assert_int_equal(w->commands.process.profile, 0);
    world_receive(w, w->ends[runner].channel, &m);
    assert_int_equal(m.envelope.number, IPC_WELCOME);
    assert_int_equal(envelope_decode(&m.envelope, &welcome), ENVELOPE_OK);
    message_free(&m);
    assert_int_equal(welcome.which_config, ipc_Welcome_runner_tag);
    assert_int_equal(welcome.config.runner.number, 77);
    assert_int_equal(welcome.config.runner.token[0], 77);
    ipc_Ready ready = {.has_lock = true, .lock = {.seccomp_mode = 2, .no_new_privs = true}};
    send_to(runner, IPC_READY, 0, &ready);
    fetch();
    world_exit(w, runner, WORKER_EXIT_DONE);
    expect_lost(77, "runner_died"); /* the vault has its receipt, and does not care */
    assert_int_equal(w->b.workers[RUN_RUNNER].restarts, 0);
    assert_false(w->b.workers[RUN_RUNNER].wanted);
    assert_int_equal(w->commands.runner_starts, 1);
}

static void output_goes_to_uplink(void **state)
{
    ipc_OutputChunk chunk = {.index = 5, .stream = ipc_OutputStream_OUTPUT_STDOUT}, got;
    ipc_OutputTaken taken = {0};
    ipc_Refused refused;
    (void)state;
    serve_runner();
    send_to(RUN_RUNNER, IPC_OUTPUT_CHUNK, 9, &chunk);
    uint32_t request = expect(RUN_UPLINK, IPC_OUTPUT_CHUNK, &got);
    assert_int_equal(got.index, 5);
    send_to(RUN_UPLINK, IPC_OUTPUT_TAKEN, request, &taken);
    assert_int_equal(expect(RUN_RUNNER, IPC_OUTPUT_TAKEN, &taken), 9);
    send_to(RUN_RUNNER, IPC_OUTPUT_CHUNK, 10, &chunk);
    expect(RUN_UPLINK, IPC_OUTPUT_CHUNK, &got);
    world_exit(w, RUN_UPLINK, WORKER_EXIT_DONE); /* the connection is lost with the chunk */
    assert_int_equal(expect(RUN_RUNNER, IPC_REFUSED, &refused), 10);
    assert_int_equal(refused.reason, ipc_RefusalReason_PEER_GONE);
    send_to(RUN_RUNNER, IPC_OUTPUT_CHUNK, 11, &chunk);
    assert_int_equal(expect(RUN_RUNNER, IPC_REFUSED, &refused), 11);
    assert_int_equal(refused.reason, ipc_RefusalReason_NOT_RUNNING);
    assert_non_null(supervisor_serving(&w->b, IPC_PEER_RUNNER));
}

/* ---- what comes to nothing ---- */

static const struct {
    uint32_t reason;
    const char *word;
} refusals[] = {
    {MONITOR_REASON_OFF, "commands_off"},      {MONITOR_REASON_PROFILE, "policy_profile"},
    {MONITOR_REASON_DIGEST, "policy_digest"},  {MONITOR_REASON_NO_SESSION, "no_session"},
    {MONITOR_REASON_NO_USER, "no_account"},    {MONITOR_REASON_EXECUTABLE, "no_program"},
    {MONITOR_REASON_CGROUP, "no_cgroup"},      {MONITOR_REASON_UNKNOWN_KIND, "no_program"},
    {MONITOR_REASON_NO_RUNNER, "not_started"}, {MONITOR_REASON_SYSTEM, "not_started"},
    {MONITOR_REASON_TOO_MANY, "not_started"},  {MONITOR_REASON_RATE, "not_started"},
    {MONITOR_REASON_STOPPING, "not_started"},  {99, "not_started"},
};

static void refused_by_the_monitor(void **state)
{
    uint32_t number = 1;
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        unsigned processes = w->commands.process_starts;
        w->commands.refuse_runner = refusals[i].reason;
        world_want_runner(w, number, DIAGNOSTIC);
        expect_lost(number++, refusals[i].word);
        assert_int_equal(w->commands.process_starts, processes);
        w->commands.refuse_runner = 0;

        unsigned kills = w->ends[RUN_RUNNER].kills;
        w->commands.refuse_process = refusals[i].reason;
        world_want_runner(w, number, DIAGNOSTIC);
        expect_lost(number++, refusals[i].word);
        assert_int_equal(w->ends[RUN_RUNNER].kills, kills + 1);
        w->commands.refuse_process = 0;
    }
    for (int i = 0; i < STANDING; i++)
        assert_non_null(supervisor_serving(&w->b, w->b.workers[i].kind));
}

static void a_sandbox_that_cannot_be_built(void **state)
{
    (void)state;
    w->commands.fail_launch = true;
    world_want_runner(w, 5, DIAGNOSTIC);
    expect_lost(5, "not_started");
    assert_int_equal(w->ends[RUN_RUNNER].kills, 1);
}

static void a_runner_that_dies(void **state)
{
    (void)state;
    serve_runner();
    world_exit(w, RUN_RUNNER, WORKER_EXIT_FAILED); /* nothing was handed to it */
    expect_lost(1, "not_started");
    serve_runner();
    fetch();
    world_exit(w, RUN_RUNNER, WORKER_EXIT_FAILED);
    expect_lost(1, "runner_died");
    serve_runner();
    world_exit(w, RUN_RUNNER, WORKER_EXIT_DONE); /* without having done anything */
    expect_lost(1, "not_started");
}

/* One that hangs does not keep all later commands waiting. */
static void a_runner_that_hangs(void **state)
{
    (void)state;
    serve_runner();
    fetch();
    struct peer *peer = w->b.workers[RUN_RUNNER].peer;
    assert_true(peer->deadline_ms > monotonic_ms() + 7200000);
    peer->deadline_ms = 1;
    await_killed(RUN_RUNNER);
    expect_lost(1, "runner_died");
}

/* Its process ends first: that is the runner's to notice, and the next waits for it. */
static void a_process_that_ends(void **state)
{
    (void)state;
    serve_runner();
    fetch();
    world_process_exits(w);
    expect_nothing(RUN_VAULT);
    assert_non_null(supervisor_serving(&w->b, IPC_PEER_RUNNER));
    world_exit(w, RUN_RUNNER, WORKER_EXIT_DONE);
    expect_lost(1, "runner_died");
}

/* ---- one at a time ---- */

static void the_next_one_waits(void **state)
{
    ipc_CommandLost lost;
    (void)state;
    serve_runner();
    world_want_runner(w, 2, ipc_CommandProfile_PROFILE_ADMIN);
    world_settle(w);
    assert_int_equal(w->commands.runner_starts, 1);
    world_exit(w, RUN_RUNNER, WORKER_EXIT_FAILED);
    expect(RUN_VAULT, IPC_COMMAND_LOST, &lost);
    assert_int_equal(lost.number, 1);
    await_runners(2); /* on_command has seen that nothing of the first was left */
    assert_int_equal(w->commands.runner.profile, MONITOR_PROFILE_ADMIN);
}

static void a_runner_too_many_is_a_flood(void **state)
{
    (void)state;
    serve_runner();
    world_want_runner(w, 2, DIAGNOSTIC);
    world_want_runner(w, 3, DIAGNOSTIC);
    await_killed(RUN_VAULT);
    await_killed(RUN_RUNNER);
    world_run(w, is_over, NULL);
    world_settle(w);
    assert_int_equal(w->commands.runner_starts, 1); /* what waited went with its vault */
}

static void profiles_that_are_none(void **state)
{
    static const int none[] = {0, 4, 77};
    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        w->ends[RUN_VAULT].killed = false;
        world_want_runner(w, 1, (ipc_CommandProfile)none[i]);
        await_killed(RUN_VAULT);
        world_worker(w, RUN_VAULT, IPC_PHASE_SERVE);
    }
    assert_int_equal(w->commands.runner_starts, 0);
}

static void without_a_vault_there_is_no_runner(void **state)
{
    ipc_CommandEnded ended;
    (void)state;
    serve_runner();
    world_want_runner(w, 2, DIAGNOSTIC);
    world_settle(w);
    world_exit(w, RUN_VAULT, WORKER_EXIT_FAILED);
    await_killed(RUN_RUNNER);
    expect(RUN_UPLINK, IPC_COMMAND_ENDED, &ended);
    assert_int_equal(ended.token[0], 1);
    world_worker(w, RUN_VAULT, IPC_PHASE_SERVE);
    expect_nothing(RUN_VAULT); /* its numbers are others */
    assert_int_equal(w->commands.runner_starts, 1);
}

/* A vault that comes back while the former one's runner still goes does not inherit its end. */
static void the_next_vault_s_command(void **state)
{
    ipc_CommandLost lost;
    (void)state;
    w->commands.refuse_runner = MONITOR_REASON_OFF;
    world_want_runner(w, 9, DIAGNOSTIC);
    expect_lost(9, "commands_off");
    w->commands.refuse_runner = 0;
    serve_runner();
    world_exit(w, RUN_VAULT, WORKER_EXIT_FAILED);
    world_worker(w, RUN_VAULT, IPC_PHASE_SERVE);
    world_want_runner(w, 1, DIAGNOSTIC);
    await_runners(3);
    world_exit(w, RUN_RUNNER, WORKER_EXIT_FAILED);
    expect(RUN_VAULT, IPC_COMMAND_LOST, &lost);
    assert_string_equal(lost.reason, "not_started");
    expect_nothing(RUN_VAULT);
}

/* ---- what a runner may not ---- */

static void runners_that_misbehave(void **state)
{
    ipc_CommandFetch asked;
    ipc_CommandFinished finished = {.number = 1, .end = ipc_CommandEnd_END_EXITED}, got;
    ipc_CommandRecorded recorded = {0};
    ipc_OutputChunk chunk = {0};
    (void)state;
    serve_runner();
    fetch();
    asked = (ipc_CommandFetch){.number = 2}; /* an order is handed out once */
    send_to(RUN_RUNNER, IPC_COMMAND_FETCH, 2, &asked);
    await_killed(RUN_RUNNER);
    expect_lost(1, "runner_died");

    serve_runner();
    send_to(RUN_RUNNER, IPC_COMMAND_FINISHED, 1, &finished);
    uint32_t request = expect(RUN_VAULT, IPC_COMMAND_FINISHED, &got);
    send_to(RUN_VAULT, IPC_COMMAND_RECORDED, request, &recorded);
    expect(RUN_RUNNER, IPC_COMMAND_RECORDED, &recorded);
    send_to(RUN_RUNNER, IPC_COMMAND_FINISHED, 2, &finished);
    await_killed(RUN_RUNNER);
    expect_lost(1, "not_started");

    serve_runner();
    for (uint32_t i = 0; i <= REQUESTS_PER_ASKER; i++) /* an honest one has 16 on their way */
        send_to(RUN_RUNNER, IPC_OUTPUT_CHUNK, i + 1, &chunk);
    await_killed(RUN_RUNNER);
    world_drain(w, RUN_UPLINK);
    world_run(w, is_over, NULL);
    for (int i = 0; i < STANDING; i++)
        assert_non_null(supervisor_serving(&w->b, w->b.workers[i].kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_command_s_life),
        IN_WORLD(output_goes_to_uplink),
        IN_WORLD(refused_by_the_monitor),
        IN_WORLD(a_sandbox_that_cannot_be_built),
        IN_WORLD(a_runner_that_dies),
        IN_WORLD(a_runner_that_hangs),
        IN_WORLD(a_process_that_ends),
        IN_WORLD(the_next_one_waits),
        IN_WORLD(a_runner_too_many_is_a_flood),
        IN_WORLD(profiles_that_are_none),
        IN_WORLD(without_a_vault_there_is_no_runner),
        IN_WORLD(the_next_vault_s_command),
        IN_WORLD(runners_that_misbehave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

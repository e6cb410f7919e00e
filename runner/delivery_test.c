/*
 * The shipped runner where something goes wrong: a console that takes nothing or comes back, a
 * vault that refuses, an order that is not its own, and a command's process that is hostile. The
 * programs are real, each in its sandbox, over real channels.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "exit_code.h"
#include "fixture.h"
#include "link.h"

static struct order order;

static void start_shell(const char *text)
{
    order = shell(text);
    order.output_bytes = 64 << 20;
    played_start(&played, &order);
}

/* Steps until so many chunks lie unanswered. */
static void hold(size_t chunks)
{
    played.hold_chunks = true;
    while (played.held_count < chunks)
        played_step(&played);
}

static void refuse_held(ipc_RefusalReason reason)
{
    ipc_Refused refused = {.reason = reason};
    for (size_t i = 0; i < played.held_count; i++)
        launched_say(&played.pair, IPC_REFUSED, played.held[i], &refused, NULL, 0);
    played.outstanding -= (uint32_t)played.held_count;
    played.held_count = 0;
}

/*
 * Refuses what is held, and what was sent before that was known, as the broker does without an
 * uplink. Returns when the command has ended.
 */
static void lose_uplink(ipc_RefusalReason reason)
{
    refuse_held(reason);
    while (!played.has_finished)
        played_step(&played);
    refuse_held(reason);
}

/* As a new uplink, with what its console has of each stream. */
static void resume(uint32_t out, uint32_t err)
{
    ipc_OutputResume from = {.out_next = out, .err_next = err};
    memcpy(from.token, order.token, sizeof from.token);
    launched_say(&played.pair, IPC_OUTPUT_RESUME, 0, &from, NULL, 0);
}

/* Nothing comes although time passes. */
static void assert_silent(int wait_ms)
{
    struct message message;
    assert_false(launched_try(&played.pair, &message, wait_ms));
}

static void assert_numbered(size_t lines)
{
    char *got = (char *)played.bytes[STREAM_OUT], line[32];
    size_t at = 0;
    for (size_t i = 1; i <= lines; i++) {
        int n = snprintf(line, sizeof line, "line %zu\n", i);
        assert_true(at + (size_t)n <= played.length[STREAM_OUT]);
        assert_memory_equal(got + at, line, n);
        at += (size_t)n;
    }
    assert_int_equal(at, played.length[STREAM_OUT]);
}

/* ---------------------------------------------------------------- the console */

static void test_at_most_16_under_way(void **state)
{
    (void)state;
    start_shell("head -c 20000000 /dev/zero");
    hold(STREAMS_WINDOW);
    assert_silent(200);
    played_release(&played);
    played_finish(&played);
    assert_int_equal(played.length[STREAM_OUT], 20000000);
}

/* The command waits in its write; its time goes on. */
static void test_back_pressure(void **state)
{
    (void)state;
    order = shell("head -c 30000000 /dev/zero; echo written >&2; sleep 60");
    order.output_bytes = 64 << 20;
    order.time_ms = 700;
    played_start(&played, &order);
    hold(STREAMS_WINDOW);
    while (!played.has_finished) /* by its time limit */
        played_step(&played);
    assert_int_equal(played.finished.limit, ipc_CommandLimit_LIMIT_TIME);
    assert_int_equal(played.finished.err.bytes, 0); /* it never came so far */
    assert_in_range(played.finished.out.bytes, 8u << 20, 10u << 20);
    assert_int_equal(played.finished.out.dropped, 0);
    played_release(&played);
    played_finish(&played);
}

/* A flood on one stream does not silence the other. */
static void test_other_stream_under_back_pressure(void **state)
{
    (void)state;
    order = shell("cat /dev/zero & sleep 0.3; echo heard >&2; wait");
    order.output_bytes = 64 << 20;
    order.time_ms = 1000;
    played_start(&played, &order);
    hold(STREAMS_WINDOW);
    while (!played.has_finished)
        played_step(&played);
    assert_int_equal(played.finished.err.bytes, 6);
    played_release(&played);
    played_finish(&played);
    played_wrote(&played, STREAM_ERR, "heard\n");
}

/* The receipt does not wait for a console that is away; its output does. */
static void test_console_that_comes_back(void **state)
{
    (void)state;
    start_shell("for i in $(seq 100000); do echo line $i; done");
    hold(3);
    lose_uplink(ipc_RefusalReason_PEER_GONE);
    assert_silent(100);
    /* Of three chunks that were on their way the console stored none. */
    resume(0, 0);
    played.hold_chunks = false;
    played.next[STREAM_OUT] = 0;
    played.length[STREAM_OUT] = 0;
    played_finish(&played);
    assert_numbered(100000);
}

/* What was stored is not sent again, and what is sent again has the same borders. */
static void test_chunks_keep_their_borders(void **state)
{
    (void)state;
    size_t lengths[3], total = 0;
    start_shell(
        "for i in 1 2 3; do head -c 1000 /dev/zero; sleep 0.1; done; head -c 300000 /dev/zero");
    played.hold_chunks = true;
    for (int i = 0; i < 3; i++) {
        hold((size_t)i + 1);
        lengths[i] = played.length[STREAM_OUT] - total;
        total += lengths[i];
    }
    lose_uplink(ipc_RefusalReason_NOT_RUNNING);
    played.next[STREAM_OUT] = 1;
    played.length[STREAM_OUT] = lengths[0];
    resume(1, 0);
    for (int i = 1; i < 3; i++) {
        size_t before = played.length[STREAM_OUT];
        hold((size_t)i);
        assert_int_equal(played.length[STREAM_OUT] - before, lengths[i]);
    }
    played_release(&played);
    played_finish(&played);
    assert_int_equal(played.length[STREAM_OUT], 303000);
}

/* Numbers that a hostile console makes up throw nothing away that was never sent. */
static void test_numbers_that_were_never_sent(void **state)
{
    (void)state;
    start_shell("echo one; sleep 0.2; echo two; sleep 0.2; echo three");
    hold(1);
    lose_uplink(ipc_RefusalReason_TIMED_OUT);
    resume(4000000000u, 4000000000u);
    played.hold_chunks = false;
    played_finish(&played); /* and checks count and hash of what came */
    played_wrote(&played, STREAM_OUT, "one\ntwo\nthree\n");
}

static void test_resume_for_another_command(void **state)
{
    (void)state;
    struct message message;
    ipc_OutputResume from = {.token = {1}};
    ipc_Refused refused;
    start_shell("read x; exit 0");
    launched_say(&played.pair, IPC_OUTPUT_RESUME, 0, &from, NULL, 0);
    do
        launched_receive(&played.pair, &message);
    while (message.envelope.number != IPC_REFUSED && (message_free(&message), true));
    assert_int_equal(envelope_decode(&message.envelope, &refused), ENVELOPE_OK);
    assert_int_equal(refused.reason, ipc_RefusalReason_NO_SUCH);
    message_free(&message);
}

static void test_busy_queue(void **state)
{
    (void)state;
    start_shell("echo hello");
    hold(1);
    refuse_held(ipc_RefusalReason_BUSY);
    played.hold_chunks = false;
    played.next[STREAM_OUT] = 0;
    played.length[STREAM_OUT] = 0;
    played_finish(&played); /* it tries again by itself */
    played_wrote(&played, STREAM_OUT, "hello\n");
}

/* What nobody takes is given up after a while; the receipt has been there for long. */
static void test_console_that_stays_away(void **state)
{
    (void)state;
    order = shell("head -c 1000000 /dev/zero");
    memset(&played, 0, sizeof played);
    for (int i = 0; i < STREAMS; i++)
        assert_non_null(played.bytes[i] = malloc(PLAYED_MAX));
    launched_prepare(&played.pair, &order);
    played.pair.programs = IMPATIENT_PROGRAMS;
    launched_command(&played.pair);
    launched_runner(&played.pair);
    played_step(&played); /* the fetch */
    hold(1);
    lose_uplink(ipc_RefusalReason_PEER_GONE);
    while (!played.has_ended)
        played_step(&played);
    assert_int_equal(played.finished.out.bytes, 1000000);
    assert_int_equal(launched_wait(&played.pair.runner), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_at_most_16_under_way, fixture_end),
        cmocka_unit_test_teardown(test_back_pressure, fixture_end),
        cmocka_unit_test_teardown(test_other_stream_under_back_pressure, fixture_end),
        cmocka_unit_test_teardown(test_console_that_comes_back, fixture_end),
        cmocka_unit_test_teardown(test_chunks_keep_their_borders, fixture_end),
        cmocka_unit_test_teardown(test_numbers_that_were_never_sent, fixture_end),
        cmocka_unit_test_teardown(test_resume_for_another_command, fixture_end),
        cmocka_unit_test_teardown(test_busy_queue, fixture_end),
        cmocka_unit_test_teardown(test_console_that_stays_away, fixture_end),
    };
    if (geteuid() != 0)
        return 77; /* namespaces and accounts */
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

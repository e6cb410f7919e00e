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
#include "link.h"
#include "played.h"

static struct played played;
static struct order order;

static int tear_down(void **state)
{
    (void)state;
    played_end(&played);
    return 0;
}

static void start_shell(const char *text)
{
    order = played_order("/bin/sh", "-c", text);
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
    order = played_order("/bin/sh", "-c", "head -c 30000000 /dev/zero; echo written >&2; sleep 60");
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
    order = played_order("/bin/sh", "-c", "cat /dev/zero & sleep 0.3; echo heard >&2; wait");
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
    refuse_held(ipc_RefusalReason_PEER_GONE);
    while (!played.has_finished)
        played_step(&played);
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
    refuse_held(ipc_RefusalReason_NOT_RUNNING);
    while (!played.has_finished)
        played_step(&played);
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
    refuse_held(ipc_RefusalReason_TIMED_OUT);
    while (!played.has_finished)
        played_step(&played);
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

/* ---------------------------------------------------------------- the vault */

static void expect_failure(enum worker_exit status)
{
    int got = launched_wait(&played.pair.runner);
    assert_true(WIFEXITED(got));
    assert_int_equal(WEXITSTATUS(got), status);
}

static void start_both(void)
{
    memset(&played, 0, sizeof played);
    order = played_order("/bin/sh", "-c", "echo ran");
    launched_prepare(&played.pair, &order);
    launched_command(&played.pair);
    launched_runner(&played.pair);
}

static void receive_fetch(struct message *message)
{
    launched_receive(&played.pair, message);
    assert_int_equal(message->envelope.number, IPC_COMMAND_FETCH);
}

static void test_vault_gives_no_order(void **state)
{
    (void)state;
    struct message fetch;
    start_both();
    receive_fetch(&fetch);
    launched_refuse(&played.pair, &fetch, ipc_RefusalReason_NO_SUCH);
    message_free(&fetch);
    expect_failure(WORKER_EXIT_FAILED);
    launched_wait(&played.pair.command); /* it goes with its runner */
}

static void test_vault_makes_no_receipt(void **state)
{
    (void)state;
    struct message message;
    start_shell("exit 0");
    launched_receive(&played.pair, &message);
    assert_int_equal(message.envelope.number, IPC_COMMAND_FINISHED);
    launched_refuse(&played.pair, &message, ipc_RefusalReason_PEER_GONE);
    message_free(&message);
    expect_failure(WORKER_EXIT_FAILED);
}

/* What a broker that was taken over could do to an order. */
static void order_is_refused(void)
{
    struct message fetch;
    receive_fetch(&fetch);
    launched_answer_fetch(&played.pair, &fetch);
    message_free(&fetch);
    expect_failure(WORKER_EXIT_PROTOCOL);
    launched_wait(&played.pair.command);
}

static void test_changed_order(void **state)
{
    (void)state;
    start_both();
    uint8_t key = played.pair.grant.key[0];
    played.pair.grant.key[0] ^= 1; /* the tag is made with another key than the grant's */
    order_is_refused();
    played.pair.grant.key[0] = key;
}

static void test_order_of_another_instance(void **state)
{
    (void)state;
    start_both();
    order.slot = 1;
    order.generation = 3;
    played.pair.order_length = order_write(played.pair.order, sizeof played.pair.order, &order);
    order_is_refused();
}

static void test_order_for_another_command(void **state)
{
    (void)state;
    start_both();
    order.argv[2] = "echo something else";
    played.pair.order_length = order_write(played.pair.order, sizeof played.pair.order, &order);
    order_is_refused();
}

/* ---------------------------------------------------------------- the runner dies */

static void test_command_dies_with_its_runner(void **state)
{
    (void)state;
    start_shell("trap '' TERM; echo up; while :; do sleep 60; done");
    while (played.length[STREAM_OUT] == 0)
        played_step(&played);
    kill(played.pair.runner.pid, SIGKILL);
    launched_wait(&played.pair.runner);
    int status = launched_wait(&played.pair.command);
    assert_true(WIFEXITED(status));
}

static void test_command_dies_with_the_monitor(void **state)
{
    (void)state;
    start_shell("trap '' TERM; echo up; while :; do sleep 60; done");
    while (played.length[STREAM_OUT] == 0)
        played_step(&played);
    close(played.pair.command.life);
    played.pair.command.life = dup(1);
    launched_wait(&played.pair.command);
    while (!played.has_finished)
        played_step(&played);
    assert_int_equal(played.finished.end, ipc_CommandEnd_END_LOST);
    played_finish(&played);
}

/* ---------------------------------------------------------------- a hostile process */

/* The runner with this test at the link's other end. */
static int start_runner(void)
{
    memset(&played, 0, sizeof played);
    for (int i = 0; i < STREAMS; i++)
        played.bytes[i] = malloc(PLAYED_MAX);
    order = played_order("/bin/true", NULL, NULL);
    launched_prepare(&played.pair, &order);
    launched_runner(&played.pair);
    return played.pair.link[1];
}

/* Up to where the order has come, as an honest helper. */
static void take_order(int link, int ends[LINK_DESCRIPTORS])
{
    static uint8_t bytes[ORDER_MAX];
    uint32_t length = 0;
    assert_int_equal(link_send(link, LINK_HELLO, 0, 0), 0);
    played_step(&played); /* the fetch */
    assert_int_equal(link_receive_order(link, &length, ends), 0);
    assert_int_equal(length, played.pair.order_length);
    assert_int_equal(link_receive_bytes(link, bytes, length), 0);
    assert_memory_equal(bytes, played.pair.order, length);
}

static void close_ends(const int ends[LINK_DESCRIPTORS])
{
    for (int i = 0; i < LINK_DESCRIPTORS; i++)
        close(ends[i]);
}

static void test_no_hello(void **state)
{
    (void)state;
    start_runner();
    close(played.pair.link[1]);
    played.pair.link[1] = -1;
    expect_failure(WORKER_EXIT_FAILED);
}

static void test_other_words_than_hello(void **state)
{
    (void)state;
    int link = start_runner();
    assert_int_equal(link_send(link, LINK_STARTED, 0, 0), 0);
    expect_failure(WORKER_EXIT_FAILED);
}

static void test_word_before_the_order(void **state)
{
    (void)state;
    struct message fetch;
    int link = start_runner();
    link_send(link, LINK_HELLO, 0, 0);
    receive_fetch(&fetch);
    message_free(&fetch);
    link_send(link, LINK_ENDED, LINK_EXITED, 0);
    expect_failure(WORKER_EXIT_FAILED);
}

static void test_flood_on_the_link(void **state)
{
    (void)state;
    int ends[LINK_DESCRIPTORS], link = start_runner();
    take_order(link, ends);
    for (int i = 0; i < 1000; i++)
        if (link_send(link, LINK_STARTED, 0, 0) != 0)
            break;
    expect_failure(WORKER_EXIT_FAILED);
    close_ends(ends);
}

/* It says that all has ended, and goes on writing. */
static void test_output_after_the_end(void **state)
{
    (void)state;
    uint8_t block[4096] = {0};
    int ends[LINK_DESCRIPTORS], link = start_runner();
    take_order(link, ends);
    link_send(link, LINK_STARTED, 0, 0);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    link_send(link, LINK_ENDED, LINK_EXITED, 0);
    while (!played.has_finished) {
        struct pollfd ready = {channel_fd(played.pair.channel), POLLIN, 0};
        signal(SIGPIPE, SIG_IGN);
        (void)!write(ends[1], block, sizeof block);
        if (poll(&ready, 1, 0) == 1)
            played_step(&played);
    }
    assert_true(played.finished.out.bytes + played.finished.out.dropped <= 2 << 20);
    close_ends(ends);
}

/* It does not end, whatever it is told: then its runner does. */
static void test_deaf_process(void **state)
{
    (void)state;
    memset(&played, 0, sizeof played);
    for (int i = 0; i < STREAMS; i++)
        played.bytes[i] = malloc(PLAYED_MAX);
    order = played_order("/bin/true", NULL, NULL);
    order.time_ms = 100;
    launched_prepare(&played.pair, &order);
    launched_runner(&played.pair);
    int ends[LINK_DESCRIPTORS], link = played.pair.link[1];
    struct link_message message;
    take_order(link, ends);
    link_send(link, LINK_STARTED, 0, 0);
    assert_int_equal(link_receive(link, &message), 0);
    assert_int_equal(message.word, LINK_TERMINATE);
    assert_int_equal(link_receive(link, &message), 0);
    assert_int_equal(message.word, LINK_KILL);
    expect_failure(WORKER_EXIT_FAILED);
    close_ends(ends);
}

/* It dies, killed from outside or by want of memory. */
static void test_process_that_dies(void **state)
{
    (void)state;
    int ends[LINK_DESCRIPTORS], link = start_runner();
    take_order(link, ends);
    link_send(link, LINK_STARTED, 0, 0);
    assert_int_equal(write(ends[1], "last words", 10), 10);
    close(link);
    played.pair.link[1] = -1;
    close_ends(ends);
    while (!played.has_ended)
        played_step(&played);
    assert_int_equal(played.finished.end, ipc_CommandEnd_END_LOST);
    played_wrote(&played, STREAM_OUT, "last words");
    assert_int_equal(launched_wait(&played.pair.runner), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_at_most_16_under_way, tear_down),
        cmocka_unit_test_teardown(test_back_pressure, tear_down),
        cmocka_unit_test_teardown(test_other_stream_under_back_pressure, tear_down),
        cmocka_unit_test_teardown(test_console_that_comes_back, tear_down),
        cmocka_unit_test_teardown(test_chunks_keep_their_borders, tear_down),
        cmocka_unit_test_teardown(test_numbers_that_were_never_sent, tear_down),
        cmocka_unit_test_teardown(test_resume_for_another_command, tear_down),
        cmocka_unit_test_teardown(test_busy_queue, tear_down),
        cmocka_unit_test_teardown(test_vault_gives_no_order, tear_down),
        cmocka_unit_test_teardown(test_vault_makes_no_receipt, tear_down),
        cmocka_unit_test_teardown(test_changed_order, tear_down),
        cmocka_unit_test_teardown(test_order_of_another_instance, tear_down),
        cmocka_unit_test_teardown(test_order_for_another_command, tear_down),
        cmocka_unit_test_teardown(test_command_dies_with_its_runner, tear_down),
        cmocka_unit_test_teardown(test_command_dies_with_the_monitor, tear_down),
        cmocka_unit_test_teardown(test_no_hello, tear_down),
        cmocka_unit_test_teardown(test_other_words_than_hello, tear_down),
        cmocka_unit_test_teardown(test_word_before_the_order, tear_down),
        cmocka_unit_test_teardown(test_flood_on_the_link, tear_down),
        cmocka_unit_test_teardown(test_output_after_the_end, tear_down),
        cmocka_unit_test_teardown(test_deaf_process, tear_down),
        cmocka_unit_test_teardown(test_process_that_dies, tear_down),
    };
    if (geteuid() != 0)
        return 77; /* namespaces and accounts */
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The shipped runner and those whom it must not believe: a vault that refuses, an order that is not
 * its own, a command's process that is hostile; and the ends of each of them. The programs are
 * real, each in its sandbox, over real channels.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
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
    played_start(&played, &order);
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
    order = shell("echo ran");
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
        cmocka_unit_test_teardown(test_vault_gives_no_order, fixture_end),
        cmocka_unit_test_teardown(test_vault_makes_no_receipt, fixture_end),
        cmocka_unit_test_teardown(test_changed_order, fixture_end),
        cmocka_unit_test_teardown(test_order_of_another_instance, fixture_end),
        cmocka_unit_test_teardown(test_order_for_another_command, fixture_end),
        cmocka_unit_test_teardown(test_command_dies_with_its_runner, fixture_end),
        cmocka_unit_test_teardown(test_command_dies_with_the_monitor, fixture_end),
        cmocka_unit_test_teardown(test_no_hello, fixture_end),
        cmocka_unit_test_teardown(test_other_words_than_hello, fixture_end),
        cmocka_unit_test_teardown(test_word_before_the_order, fixture_end),
        cmocka_unit_test_teardown(test_flood_on_the_link, fixture_end),
        cmocka_unit_test_teardown(test_output_after_the_end, fixture_end),
        cmocka_unit_test_teardown(test_deaf_process, fixture_end),
        cmocka_unit_test_teardown(test_process_that_dies, fixture_end),
    };
    if (geteuid() != 0)
        return 77; /* namespaces and accounts */
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Signed commands when something goes: the vault, a runner, the replay store, the disk.
 */
#include "command_desk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "words.h"

/* ---------------------------------------------------------------- restarts and a lost store */

static void a_restart_ends_what_was_under_way(void **state)
{
    struct desk *desk = *state;
    desk_accept(desk);
    desk_begin(desk);
    desk_assert_receipt(desk, "not_run", "agent_stopped");
    assert_int_equal(desk_fetch(desk, desk->wanted.number)->reason, ipc_NO_SUCH);
    desk_accept(desk);
    assert_null(desk_fetch(desk, desk->wanted.number));
    desk_begin(desk);
    desk_assert_receipt(desk, "unknown", "agent_stopped");
    assert_non_null(strstr(desk_receipt_text(desk), "\"started_ms\":1790000000000"));
    assert_int_equal(desk_finish(desk, desk->wanted.number, 0)->reason, ipc_NO_SUCH);
    desk_begin(desk);
    desk_assert_receipt(desk, "unknown", "agent_stopped");
}

static void a_runner_that_never_asks_is_given_up(void **state)
{
    struct desk *desk = *state;
    desk_accept(desk);
    desk->now.mono_ms += 7199999;
    assert_int_equal(desk_offer_again(desk, 1), ipc_DECISION_BUSY);
    desk->now.mono_ms += 1;
    assert_int_equal(desk_offer_again(desk, 1), ipc_DECISION_REPLAYED);
    desk_assert_receipt(desk, "not_run", "not_started");
    assert_int_equal(desk_fetch(desk, desk->wanted.number)->reason, ipc_NO_SUCH);
    desk_accept(desk);
    assert_null(desk_fetch(desk, desk->wanted.number));
    desk->now.mono_ms += 60000 + 299999; /* its own time, and some */
    assert_int_equal(desk_offer_again(desk, 1), ipc_DECISION_BUSY);
    desk->now.mono_ms += 1;
    assert_int_equal(desk_offer_again(desk, 1), ipc_DECISION_REPLAYED);
    desk_assert_receipt(desk, "unknown", "runner_died");
}

static void remove_store(const struct desk *desk)
{
    char command[128];
    snprintf(command, sizeof command, "rm %s/commands*", desk->path);
    assert_int_equal(system(command), 0);
}

static void without_a_store_everything_is_refused(void **state)
{
    struct desk *desk = *state;
    ipc_CommandStatusReply status;
    ipc_StoreResetDone done;
    desk_run_whole(desk);
    remove_store(desk);
    desk_begin(desk);
    desk_assert_refused(desk, desk_sample(desk), ipc_DECISION_STORE);
    struct command_sample other = desk_sample(desk);
    other.audience = "group:others";
    desk_assert_refused(desk, other, ipc_DECISION_AUDIENCE); /* that comes first */
    assert_int_equal(desk_revoke(desk, 1, SAMPLE_ADMIN, "\"ops-1\""), ipc_DECISION_STORE);
    ipc_CommandQuery request = {0};
    ipc_CommandQueryReply reply;
    assert_int_equal(command_query(&desk->commands, &request, desk->now, &reply)->reason,
                     ipc_FAILED); /* not "unknown" */
    assert_null(command_status(&desk->commands, &status));
    assert_non_null(strstr(status.store, "missing"));
    assert_int_equal(command_reset(&desk->commands, 1000, desk->now, &done)->reason,
                     ipc_NOT_ALLOWED);
    assert_null(command_reset(&desk->commands, 0, desk->now, &done));
    assert_int_equal(done.epoch_ms, (NOW_S + 1) * 1000);
    desk_assert_refused(desk, desk_sample(desk), ipc_DECISION_EPOCH);
    desk->now.unix_ms += 1000;
    struct command_sample fresh = desk_sample(desk);
    fresh.nbf = NOW_S + 1;
    assert_int_equal(desk_offer(desk, fresh), ipc_DECISION_ACCEPTED);
    assert_null(command_status(&desk->commands, &status));
    assert_string_equal(status.store, "");
}

/* The store goes while a command runs: its end is written down once there is a store again. */
static void an_end_waits_for_a_store(void **state)
{
    struct desk *desk = *state;
    ipc_StoreResetDone done;
    desk_accept(desk);
    assert_null(desk_fetch(desk, desk->wanted.number));
    remove_store(desk);
    assert_int_equal(desk_finish(desk, desk->wanted.number, 5)->reason, ipc_FAILED);
    assert_int_equal(desk_query(desk), ipc_COMMAND_STARTED); /* no receipt before it is durable */
    desk_assert_refused(desk, desk_sample(desk), ipc_DECISION_STORE);
    assert_null(command_reset(&desk->commands, 0, desk->now, &done));
    desk_assert_receipt(desk, "run", "");
    assert_non_null(strstr(desk_receipt_text(desk), "\"exit\":5"));
}

/* Nothing is handed to a runner that could not be written down. */
static void no_start_without_a_store(void **state)
{
    struct desk *desk = *state;
    desk_accept(desk);
    remove_store(desk);
    assert_int_equal(desk_fetch(desk, desk->wanted.number)->reason, ipc_FAILED);
    assert_int_equal(desk->commands.order_length, 0);
    assert_true(sodium_is_zero(desk->commands.order, 64));
    assert_int_equal(desk_fetch(desk, desk->wanted.number)->reason, ipc_NO_SUCH);
}

/* ---------------------------------------------------------------- a disk that fails */

/* Without the tick before it, which would open the store again. */
static ipc_Decision offer_at_once(struct desk *desk)
{
    assert_null(command_offer(&desk->commands, 1, (const uint8_t *)desk->token, desk->length,
                              desk->now, &desk->said));
    return desk->said.decision;
}

static int failing; /* the sync that fails, counted down to 1; 0: none */

int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);

static bool is_failing(void)
{
    errno = EIO;
    return failing != 0 && --failing == 0;
}

int __wrap_fsync(int fd)
{
    return is_failing() ? -1 : __real_fsync(fd);
}

int __wrap_fdatasync(int fd)
{
    return is_failing() ? -1 : __real_fdatasync(fd);
}

/* Time goes by, until the store is opened again; then the next command is taken. */
static void come_back(struct desk *desk)
{
    failing = 0;
    assert_false(replay_store_usable(&desk->commands.store));
    desk->now.mono_ms += 5000;
    command_tick(&desk->commands, desk->now);
    assert_string_equal(replay_store_trouble(&desk->commands.store), "");
}

/* Each sync in turn: of the log, which may hold the record all the same, and of the anchor. */
static void a_failing_acceptance(void **state)
{
    struct desk *desk = *state;
    for (int sync = 1; sync <= 2; sync++) {
        struct command_sample wanted = desk_sample(desk);
        failing = sync;
        assert_int_equal(desk_offer(desk, wanted), ipc_DECISION_STORE);
        assert_false(command_wanted(&desk->commands, &desk->wanted));
        memcpy(desk->wanted.token, desk->said.token, sizeof desk->said.token);
        come_back(desk);
        desk_assert_receipt(desk, "not_run", "agent_stopped"); /* it stands in the log */
        desk_run_whole(desk);
    }
}

static void a_failing_start(void **state)
{
    struct desk *desk = *state;
    for (int sync = 1; sync <= 2; sync++) {
        desk_accept(desk);
        failing = sync;
        assert_int_equal(desk_fetch(desk, desk->wanted.number)->reason, ipc_FAILED);
        assert_int_equal(desk->commands.order_length, 0);
        assert_int_equal(offer_at_once(desk), ipc_DECISION_BUSY);
        come_back(desk);
        desk_assert_receipt(desk, "unknown", "agent_stopped");
        desk_run_whole(desk);
    }
}

static void a_failing_end(void **state)
{
    struct desk *desk = *state;
    for (int sync = 1; sync <= 2; sync++) {
        desk_accept(desk);
        assert_null(desk_fetch(desk, desk->wanted.number));
        failing = sync;
        assert_int_equal(desk_finish(desk, desk->wanted.number, 0)->reason, ipc_FAILED);
        assert_int_equal(offer_at_once(desk), ipc_DECISION_BUSY);
        come_back(desk);
        desk_assert_receipt(desk, "run", "");
        desk_run_whole(desk);
    }
}

/* The broker raises the alert; it is told of each trouble once. */
static void a_lost_store_is_told_once(void **state)
{
    struct desk *desk = *state;
    ipc_VaultEvent event;
    ipc_StoreResetDone done;
    assert_false(command_event(&desk->commands, &event));
    remove_store(desk);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(desk_offer(desk, desk_sample(desk)), ipc_DECISION_STORE);
        assert_int_equal(command_event(&desk->commands, &event), !again);
    }
    assert_int_equal(event.kind, ipc_STORE_NOT_USABLE);
    assert_non_null(strstr(event.detail, "while it was in use"));
    assert_null(command_reset(&desk->commands, 0, desk->now, &done));
    assert_false(command_event(&desk->commands, &event));
    remove_store(desk);
    desk_begin(desk);
    assert_true(command_event(&desk->commands, &event));
    assert_non_null(strstr(event.detail, "missing"));
}

static void status_tells_the_latest_first(void **state)
{
    struct desk *desk = *state;
    ipc_CommandStatusReply status;
    for (int i = 0; i < 20; i++)
        desk_run_whole(desk);
    desk_accept(desk);
    assert_null(command_status(&desk->commands, &status));
    assert_int_equal(status.recent_count, 16);
    assert_int_equal(status.receipts_waiting, 20);
    assert_int_equal(status.recent[0].phase, ipc_COMMAND_ACCEPTED);
    assert_string_equal(status.recent[0].result, "");
    assert_string_equal(status.recent[1].result, "exit 0");
    assert_string_equal(status.recent[1].summary, "/usr/bin/id -u");
    assert_string_equal(status.recent[1].kid, "ops-1");
    assert_memory_equal(status.recent[0].token, desk->wanted.token, 16);
    assert_int_equal(strncmp(status.keys[0].fingerprint, "SHA256:", 7), 0);
    assert_true(status.keys[SAMPLE_CUSTOMER].countersigns);
}

#define test(name) cmocka_unit_test_setup_teardown(name, desk_set_up, desk_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_restart_ends_what_was_under_way),
        test(a_runner_that_never_asks_is_given_up),
        test(without_a_store_everything_is_refused),
        test(an_end_waits_for_a_store),
        test(no_start_without_a_store),
        test(a_failing_acceptance),
        test(a_failing_start),
        test(a_failing_end),
        test(a_lost_store_is_told_once),
        test(status_tells_the_latest_first),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What the replay store keeps over restarts, refuses, and finds out about its files. Crashes are in
 * replay_fault_test.c.
 */
#include "replay_store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "key_files.h"
#include "replay_place.h"

#define DAY_MS UINT64_C(86400000)

/* ---------------------------------------------------------------- what is kept */

static void each_step_outlives_the_process(void **state)
{
    struct place *place = *state;
    struct replay_command command = place_command("ops-1", 5);
    assert_int_equal(place_accept(place, &command), 0);
    place_open(place, PLACE_NOW);
    assert_int_equal(place_find(place, &command)->phase, ipc_COMMAND_ACCEPTED);
    assert_string_equal(place_find(place, &command)->summary, "/bin/true");
    assert_int_equal(replay_store_start(&place->store, command.receipt.token, PLACE_NOW + 1), 0);
    assert_int_equal(replay_store_start(&place->store, command.receipt.token, PLACE_NOW + 1),
                     -EINVAL); /* once */
    place_open(place, PLACE_NOW);
    assert_int_equal(place_find(place, &command)->phase, ipc_COMMAND_STARTED);
    assert_int_equal(place_finish(place, &command, 3), 0);
    assert_int_equal(place_finish(place, &command, 4), -EINVAL);
    place_open(place, PLACE_NOW);
    const struct replay_command *kept = place_find(place, &command);
    assert_int_equal(kept->phase, ipc_COMMAND_ENDED);
    assert_int_equal(kept->receipt.code, 3);
    assert_int_equal(kept->receipt.accepted_ms, PLACE_NOW);
    assert_string_equal(kept->receipt.kid, "ops-1");
    assert_int_equal(replay_store_deliver(&place->store, command.receipt.token, PLACE_NOW), 0);
    assert_int_equal(replay_store_deliver(&place->store, command.receipt.token, PLACE_NOW), 0);
    place_open(place, PLACE_NOW);
    assert_null(place_find(place, &command));
    assert_int_equal(place_admit(place, &command), REPLAY_REPLAYED);
    assert_int_equal(replay_store_known(&place->store)->recent_count, 1);
}

static void an_end_is_such_as_the_command_can_have(void **state)
{
    struct place *place = *state;
    struct replay_command command = place_command("ops-1", 1);
    struct receipt end = {.decision = RECEIPT_NOT_RUN, .reason = "policy_profile", .ended_ms = 1};
    memcpy(end.token, command.receipt.token, sizeof end.token);
    assert_int_equal(replay_store_finish(&place->store, &end, PLACE_NOW), -EINVAL);
    assert_int_equal(place_accept(place, &command), 0);
    assert_int_equal(place_finish(place, &command, 0), -EINVAL); /* it was never started */
    assert_int_equal(replay_store_deliver(&place->store, command.receipt.token, PLACE_NOW), 0);
    assert_non_null(place_find(place, &command)); /* there was nothing to deliver */
    assert_int_equal(replay_store_finish(&place->store, &end, PLACE_NOW), 0);
    place_open(place, PLACE_NOW);
    assert_string_equal(place_find(place, &command)->receipt.reason, "policy_profile");
    assert_int_equal(place_find(place, &command)->receipt.started_ms, 0);
}

static void nothing_is_admitted_twice(void **state)
{
    struct place *place = *state;
    place_run_whole(place, "ops-1", 10);
    for (int restarted = 0; restarted < 2; restarted++) {
        struct replay_command same = place_command("ops-1", 10);
        struct replay_command malleated = same, same_id = place_command("ops-1", 11);
        struct replay_command same_seq = place_command("ops-1", 10);
        malleated.receipt.token[15] = 1;
        memcpy(same_id.receipt.jti, same.receipt.jti, sizeof same.receipt.jti);
        same_seq.receipt.jti[15] = same_seq.receipt.token[15] = 1;
        struct replay_command lower = place_command("ops-1", 9), next = place_command("ops-1", 11);
        struct replay_command other = place_command("ops-2", 9);
        assert_int_equal(place_admit(place, &same), REPLAY_REPLAYED);
        assert_int_equal(place_admit(place, &malleated), REPLAY_REPLAYED);
        assert_int_equal(place_admit(place, &same_id), REPLAY_REPLAYED);
        assert_int_equal(place_admit(place, &same_seq), REPLAY_REPLAYED);
        assert_int_equal(place_admit(place, &lower), REPLAY_SEQUENCE);
        assert_int_equal(place_admit(place, &next), REPLAY_NEW);
        assert_int_equal(place_admit(place, &other), REPLAY_NEW);
        /* The writing side holds to it whatever its caller has asked. */
        assert_int_equal(replay_store_accept(&place->store, &same, PLACE_NOW), -EINVAL);
        assert_int_equal(replay_store_accept(&place->store, &same_id, PLACE_NOW), -EINVAL);
        assert_int_equal(replay_store_accept(&place->store, &lower, PLACE_NOW), -EINVAL);
        place_open(place, PLACE_NOW);
        place_assert_usable(place);
    }
}

static void revocation_is_for_good(void **state)
{
    struct place *place = *state;
    place_run_whole(place, "ops-1", 10);
    assert_int_equal(replay_store_revoke(&place->store, "ops-1", PLACE_NOW), 0);
    assert_int_equal(replay_store_revoke(&place->store, "never-seen", PLACE_NOW), 0);
    assert_int_equal(replay_store_revoke(&place->store, "ops-1", PLACE_NOW), 0);
    place_open(place, PLACE_NOW);
    const struct replay_state *known = replay_store_known(&place->store);
    assert_true(replay_state_key(known, "ops-1")->revoked);
    assert_int_equal(replay_state_key(known, "ops-1")->highest, 10);
    assert_true(replay_state_key(known, "never-seen")->revoked);
    assert_int_equal(known->key_count, 2);
    char kid[16];
    for (int i = 2; i < REPLAY_KEYS_MAX; i++) {
        snprintf(kid, sizeof kid, "k%d", i);
        assert_int_equal(replay_store_revoke(&place->store, kid, PLACE_NOW), 0);
    }
    assert_int_equal(replay_store_revoke(&place->store, "one-more", PLACE_NOW), -ENOSPC);
    struct replay_command command = place_command("one-more", 1);
    assert_int_equal(place_admit(place, &command), REPLAY_FULL);
}

/* ---------------------------------------------------------------- time */

static void a_clock_that_was_set_back_is_noticed(void **state)
{
    struct place *place = *state;
    struct replay_store *store = &place->store;
    assert_true(replay_store_clock(store, PLACE_NOW - 120000, 0));
    assert_false(replay_store_clock(store, PLACE_NOW - 120001, 0));
    assert_true(replay_store_clock(store, PLACE_NOW + 10 * DAY_MS, REPLAY_TIME_STEP_MS));
    assert_false(replay_store_clock(store, PLACE_NOW, REPLAY_TIME_STEP_MS));
    place_open(place, PLACE_NOW); /* forward, then back, then restarted */
    place_assert_usable(place);
    assert_false(replay_store_clock(store, PLACE_NOW, REPLAY_TIME_STEP_MS));
    assert_false(replay_store_clock(store, PLACE_NOW + 10 * DAY_MS - 120001, 0));
    assert_true(replay_store_clock(store, PLACE_NOW + 10 * DAY_MS - 120000, 0));
}

static void time_is_written_in_steps(void **state)
{
    struct place *place = *state;
    struct replay_store *store = &place->store;
    uint64_t count = store->file.at.count;
    assert_true(replay_store_clock(store, PLACE_NOW + 59999, REPLAY_TIME_STEP_MS));
    assert_int_equal(store->file.at.count, count);
    assert_false(replay_store_clock(store, PLACE_NOW - 60002, REPLAY_TIME_STEP_MS));
    assert_true(replay_store_clock(store, PLACE_NOW + 60000, REPLAY_TIME_STEP_MS));
    assert_int_equal(store->file.at.count, count + 1);
    assert_true(replay_store_clock(store, PLACE_NOW + 3600000, REPLAY_TIME_IDLE_MS));
    assert_int_equal(store->file.at.count, count + 1);
    place_open(place, PLACE_NOW + 7 * DAY_MS); /* at start */
    assert_int_equal(store->file.at.count, count + 2);
}

static void ids_are_kept_until_they_have_expired(void **state)
{
    struct place *place = *state;
    struct replay_state *known = place->store.replay;
    place_run_whole(place, "ops-1", 1); /* expires an hour after PLACE_NOW */
    struct replay_command first = place_command("ops-1", 1);
    assert_int_equal(replay_store_deliver(&place->store, first.receipt.token, PLACE_NOW), 0);
    replay_store_clock(&place->store, PLACE_NOW + 3600000 + 120000, 0);
    replay_state_prune(known);
    assert_int_equal(known->id_count, 1);
    replay_store_clock(&place->store, PLACE_NOW + 3600000 + 121000, 0);
    replay_state_prune(known);
    assert_int_equal(known->id_count, 0);
    struct replay_command again = place_command("ops-1", 1);
    assert_int_equal(place_admit(place, &again), REPLAY_REPLAYED); /* by its number */
}

static void what_is_older_than_the_store_is_refused(void **state)
{
    struct place *place = *state;
    const struct replay_state *known = replay_store_known(&place->store);
    struct replay_command command = place_command("ops-1", 1);
    assert_int_equal(replay_state_admit(known, &command.receipt, PLACE_NOW / 1000 - 1),
                     REPLAY_EPOCH);
    assert_int_equal(replay_state_admit(known, &command.receipt, PLACE_NOW / 1000), REPLAY_NEW);
}

/* ---------------------------------------------------------------- bounds */

static void a_thousand_receipts_wait(void **state)
{
    struct place *place = *state;
    struct replay_command command;
    for (uint64_t seq = 1; seq <= REPLAY_WAITING_MAX; seq++)
        place_run_whole(place, "ops-1", seq);
    command = place_command("ops-1", REPLAY_WAITING_MAX + 1);
    for (int restarted = 0; restarted < 2; restarted++) {
        assert_int_equal(replay_state_waiting(replay_store_known(&place->store)),
                         REPLAY_WAITING_MAX);
        replay_store_make_room(&place->store, PLACE_NOW + 6 * DAY_MS);
        assert_int_equal(place_admit(place, &command), REPLAY_FULL);
        place_open(place, PLACE_NOW);
        place_assert_usable(place);
    }
    replay_store_make_room(&place->store, PLACE_NOW + 8 * DAY_MS); /* one is given up */
    assert_int_equal(place_admit(place, &command), REPLAY_NEW);
    struct replay_command first = place_command("ops-1", 1);
    assert_null(place_find(place, &first));
    assert_int_equal(place_admit(place, &first), REPLAY_REPLAYED);
}

static void a_long_log_is_written_anew(void **state)
{
    struct place *place = *state;
    struct replay_command kept = place_command("ops-2", 1), held = place_command("ops-3", 1);
    place_run_whole(place, "ops-2", 1);
    assert_int_equal(place_accept(place, &held), 0);
    assert_int_equal(replay_store_revoke(&place->store, "stolen", PLACE_NOW), 0);
    uint64_t seq = 0, most = 0;
    while (place->store.file.at.generation == 1 && seq < 3000) {
        struct replay_command command = place_command("ops-1", ++seq);
        place_run_whole(place, "ops-1", seq);
        assert_int_equal(replay_store_deliver(&place->store, command.receipt.token, PLACE_NOW), 0);
        most = place->store.file.at.count > most ? place->store.file.at.count : most;
    }
    assert_int_equal(place->store.file.at.generation, 2);
    assert_in_range(most, 4000, 6000);
    assert_in_range(place->store.file.at.count, 10, 400);
    place_run_whole(place, "ops-1", ++seq);
    for (int restarted = 0; restarted < 2; restarted++) {
        const struct replay_state *known = replay_store_known(&place->store);
        place_assert_usable(place);
        for (uint64_t old = 1; old <= seq; old++) {
            struct replay_command command = place_command("ops-1", old);
            assert_int_equal(place_admit(place, &command), REPLAY_REPLAYED);
        }
        assert_int_equal(place_find(place, &kept)->phase, ipc_COMMAND_ENDED);
        assert_int_equal(place_find(place, &held)->phase, ipc_COMMAND_ACCEPTED);
        assert_true(replay_state_key(known, "stolen")->revoked);
        assert_int_equal(known->begin.epoch_ms, PLACE_NOW);
        place_open(place, PLACE_NOW);
    }
}

#define test(name) cmocka_unit_test_setup_teardown(name, place_set_up, place_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(each_step_outlives_the_process),
        test(an_end_is_such_as_the_command_can_have),
        test(nothing_is_admitted_twice),
        test(revocation_is_for_good),
        test(a_clock_that_was_set_back_is_noticed),
        test(time_is_written_in_steps),
        test(ids_are_kept_until_they_have_expired),
        test(what_is_older_than_the_store_is_refused),
        test(a_thousand_receipts_wait),
        test(a_long_log_is_written_anew),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}

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

static void assert_usable(const struct place *place)
{
    assert_string_equal(replay_store_trouble(&place->store), "");
    assert_true(replay_store_usable(&place->store));
}

/* It says `why`, and nothing can be written. */
static void assert_refuses(struct place *place, const char *why)
{
    struct replay_command command = place_command("other", 1);
    assert_false(replay_store_usable(&place->store));
    if (!strstr(replay_store_trouble(&place->store), why))
        fail_msg("\"%s\" does not say \"%s\"", replay_store_trouble(&place->store), why);
    assert_int_not_equal(replay_store_accept(&place->store, &command, PLACE_NOW), 0);
    assert_int_not_equal(replay_store_revoke(&place->store, "other", PLACE_NOW), 0);
}

static const struct replay_command *find(const struct place *place,
                                         const struct replay_command *command)
{
    return replay_state_find(replay_store_known(&place->store), command->receipt.token);
}

static void run_whole(struct place *place, const char *kid, uint64_t seq)
{
    struct replay_command command = place_command(kid, seq);
    assert_int_equal(place_accept(place, &command), 0);
    assert_int_equal(replay_store_start(&place->store, command.receipt.token, PLACE_NOW), 0);
    assert_int_equal(place_finish(place, &command, 0), 0);
}

/* ---------------------------------------------------------------- what is kept */

static void each_step_outlives_the_process(void **state)
{
    struct place *place = *state;
    struct replay_command command = place_command("ops-1", 5);
    assert_int_equal(place_accept(place, &command), 0);
    place_open(place, PLACE_NOW);
    assert_int_equal(find(place, &command)->phase, ipc_COMMAND_ACCEPTED);
    assert_string_equal(find(place, &command)->summary, "/bin/true");
    assert_int_equal(replay_store_start(&place->store, command.receipt.token, PLACE_NOW + 1), 0);
    assert_int_equal(replay_store_start(&place->store, command.receipt.token, PLACE_NOW + 1),
                     -EINVAL); /* once */
    place_open(place, PLACE_NOW);
    assert_int_equal(find(place, &command)->phase, ipc_COMMAND_STARTED);
    assert_int_equal(place_finish(place, &command, 3), 0);
    assert_int_equal(place_finish(place, &command, 4), -EINVAL);
    place_open(place, PLACE_NOW);
    const struct replay_command *kept = find(place, &command);
    assert_int_equal(kept->phase, ipc_COMMAND_ENDED);
    assert_int_equal(kept->receipt.code, 3);
    assert_int_equal(kept->receipt.accepted_ms, PLACE_NOW);
    assert_string_equal(kept->receipt.kid, "ops-1");
    assert_int_equal(replay_store_deliver(&place->store, command.receipt.token, PLACE_NOW), 0);
    assert_int_equal(replay_store_deliver(&place->store, command.receipt.token, PLACE_NOW), 0);
    place_open(place, PLACE_NOW);
    assert_null(find(place, &command));
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
    assert_non_null(find(place, &command)); /* there was nothing to deliver */
    assert_int_equal(replay_store_finish(&place->store, &end, PLACE_NOW), 0);
    place_open(place, PLACE_NOW);
    assert_string_equal(find(place, &command)->receipt.reason, "policy_profile");
    assert_int_equal(find(place, &command)->receipt.started_ms, 0);
}

static void nothing_is_admitted_twice(void **state)
{
    struct place *place = *state;
    run_whole(place, "ops-1", 10);
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
        assert_usable(place);
    }
}

static void revocation_is_for_good(void **state)
{
    struct place *place = *state;
    run_whole(place, "ops-1", 10);
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
    assert_usable(place);
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
    run_whole(place, "ops-1", 1); /* expires an hour after PLACE_NOW */
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

/* ---------------------------------------------------------------- missing, damaged, older */

static void a_missing_store_waits_for_an_administrator(void **state)
{
    struct place *place = *state;
    run_whole(place, "ops-1", 10);
    place_run(place, "rm %s/commands %s/commands.anchor");
    place_open(place, PLACE_NOW);
    assert_refuses(place, "it is missing");
    assert_int_equal(state_file_exists(place->folder, REPLAY_FILE_LOG), 0);
    place_open(place, PLACE_NOW);
    assert_refuses(place, "it is missing");
    assert_int_equal(replay_store_reset(&place->store, PLACE_NOW + 1500), 0);
    assert_usable(place);
    place_open(place, PLACE_NOW + 1500);
    assert_usable(place);
    struct replay_command command = place_command("ops-1", 10);
    const struct replay_state *known = replay_store_known(&place->store);
    assert_int_equal(replay_state_admit(known, &command.receipt, PLACE_NOW / 1000 + 1),
                     REPLAY_EPOCH); /* the second that had begun */
    assert_int_equal(replay_state_admit(known, &command.receipt, PLACE_NOW / 1000 + 2), REPLAY_NEW);
}

static void any_trace_of_a_key_means_that_there_was_a_store(void **state)
{
    struct place *place = *state;
    static const char *const traces[] = {KEY_FILES_SECRET, KEY_FILES_KEY, KEY_FILES_MARKER};
    for (size_t i = 0; i < 3; i++) {
        place_run(place, "rm -f %s/*");
        assert_int_equal(state_file_write(place->folder, traces[i], "x", 1), 0);
        place_open(place, PLACE_NOW);
        assert_refuses(place, "it is missing");
    }
    place_run(place, "rm -f %s/*");
    place_open(place, PLACE_NOW);
    assert_usable(place);
}

static void half_a_store_is_none(void **state)
{
    struct place *place = *state;
    run_whole(place, "ops-1", 10);
    place_run(place, "mv %s/commands %s/elsewhere");
    place_open(place, PLACE_NOW);
    assert_refuses(place, "the log is missing");
    place_run(place, "mv %s/elsewhere %s/commands && rm %s/commands.anchor");
    place_open(place, PLACE_NOW);
    assert_refuses(place, "the anchor is missing");
}

static void an_older_copy_is_found(void **state)
{
    struct place *place = *state;
    static struct place_copy copies[8], last;
    struct replay_command command = place_command("ops-1", 1);
    place_copy(place, &copies[0]);
    for (uint64_t seq = 1; seq < 8; seq++) {
        command = place_command("ops-1", seq);
        assert_int_equal(place_accept(place, &command), 0);
        place_copy(place, &copies[seq]);
    }
    place_copy(place, &last);
    for (int i = 0; i < 7; i++) {
        place_put_log(place, copies[i].log, copies[i].log_length);
        place_put_anchor(place, last.anchor, sizeof last.anchor);
        place_open(place, PLACE_NOW);
        assert_refuses(place, "older");
    }
    for (int i = 0; i < 6; i++) { /* the anchor alone: behind by more than a crash explains */
        place_put_log(place, last.log, last.log_length);
        place_put_anchor(place, copies[i].anchor, sizeof last.anchor);
        place_open(place, PLACE_NOW);
        assert_refuses(place, "do not belong together");
    }
    place_put_anchor(place, copies[6].anchor, sizeof last.anchor);
    place_open(place, PLACE_NOW); /* one record ahead: nothing is lost by that */
    assert_usable(place);
    assert_int_equal(place_admit(place, &command), REPLAY_REPLAYED);
}

/* Both older at once cannot be told from the truth, as the page says: but while it runs, it is. */
static void files_that_change_while_they_are_in_use_are_noticed(void **state)
{
    struct place *place = *state;
    static const char *const deeds[] = {
        "cp -p %s/commands %s/c && mv %s/c %s/commands",
        "rm %s/commands",
        "mv %s/commands %s/elsewhere",
        "rm %s/commands.anchor",
        "cp -p %s/commands.anchor %s/c && mv %s/c %s/commands.anchor",
        "truncate -s -512 %s/commands",
        "truncate -s +512 %s/commands",
        "printf x >> %s/commands.anchor",
        "ln %s/commands %s/second-name",
        "chmod 640 %s/commands",
        "rm %s/commands && mkdir %s/commands",
        "mv %s/commands %s/c && ln -s c %s/commands",
    };
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
        place_run(place, "rm -rf %s/*");
        place_open(place, PLACE_NOW);
        assert_int_equal(state_file_write(place->folder, KEY_FILES_MARKER, "", 0), 0);
        run_whole(place, "ops-1", 1);
        place_run(place, deeds[i]);
        struct replay_command command = place_command("ops-1", 2);
        assert_int_not_equal(replay_store_accept(&place->store, &command, PLACE_NOW), 0);
        assert_refuses(place, "while it was in use");
    }
}

static void older_copies_of_both_are_noticed_while_running(void **state)
{
    struct place *place = *state;
    static struct place_copy copy;
    place_copy(place, &copy);
    run_whole(place, "ops-1", 1);
    place_put_log(place, copy.log, copy.log_length);
    place_put_anchor(place, copy.anchor, sizeof copy.anchor);
    struct replay_command again = place_command("ops-1", 1);
    assert_int_equal(place_admit(place, &again), REPLAY_REPLAYED);
    assert_int_not_equal(replay_store_revoke(&place->store, "other", PLACE_NOW), 0);
    assert_refuses(place, "while it was in use");
}

/* Whatever was accepted is refused afterwards, or everything is. */
static void assert_never_again(struct place *place, uint64_t highest)
{
    place_open(place, PLACE_NOW);
    if (!replay_store_usable(&place->store)) {
        assert_true(strlen(replay_store_trouble(&place->store)) > 0);
        return;
    }
    for (uint64_t seq = 1; seq <= highest; seq++) {
        struct replay_command command = place_command("ops-1", seq);
        assert_int_not_equal(place_admit(place, &command), REPLAY_NEW);
    }
}

static void make_three(struct place *place, struct place_copy *whole)
{
    struct replay_command third = place_command("ops-1", 3);
    run_whole(place, "ops-1", 1);
    run_whole(place, "ops-1", 2);
    assert_int_equal(place_accept(place, &third), 0);
    place_copy(place, whole);
    replay_store_end(&place->store);
}

static void cut_anywhere_it_is_found(void **state)
{
    struct place *place = *state;
    static struct place_copy whole;
    make_three(place, &whole);
    for (size_t length = 0; length < whole.log_length; length++) {
        place_put_log(place, whole.log, length);
        place_put_anchor(place, whole.anchor, sizeof whole.anchor);
        assert_never_again(place, 3);
        assert_false(replay_store_usable(&place->store));
    }
    for (size_t length = 0; length < sizeof whole.anchor; length += 7) {
        place_put_log(place, whole.log, whole.log_length);
        place_put_anchor(place, whole.anchor, length);
        place_open(place, PLACE_NOW);
        assert_refuses(place, "altered");
    }
}

static void a_flipped_bit_is_found(void **state)
{
    struct place *place = *state;
    static struct place_copy whole;
    make_three(place, &whole);
    place_put_anchor(place, whole.anchor, sizeof whole.anchor);
    for (size_t at = 0; at < whole.log_length; at++) {
        whole.log[at] ^= (uint8_t)(1u << at % 8);
        place_put_log(place, whole.log, whole.log_length);
        place_open(place, PLACE_NOW);
        assert_refuses(place, "altered");
        whole.log[at] ^= (uint8_t)(1u << at % 8);
    }
    int repaired = 0;
    for (size_t at = 0; at < sizeof whole.anchor; at++) {
        whole.anchor[at] ^= (uint8_t)(1u << at % 8);
        place_put_log(place, whole.log, whole.log_length);
        place_put_anchor(place, whole.anchor, sizeof whole.anchor);
        assert_never_again(place, 3);
        repaired += replay_store_usable(&place->store);
        whole.anchor[at] ^= (uint8_t)(1u << at % 8);
    }
    /* One of its two places may be what a crash leaves of it, the other explains it. */
    assert_int_equal(repaired, REPLAY_ANCHOR_PLACE);
}

static void swapped_and_doubled_records_are_found(void **state)
{
    struct place *place = *state;
    static struct place_copy whole;
    static uint8_t bent[PLACE_LOG_MAX];
    make_three(place, &whole);
    size_t records = whole.log_length / REPLAY_RECORD_SIZE;
    place_put_anchor(place, whole.anchor, sizeof whole.anchor);
    for (size_t a = 0; a < records; a++)
        for (size_t b = 0; b < records; b++) {
            if (a == b)
                continue;
            memcpy(bent, whole.log, whole.log_length);
            memcpy(bent + a * REPLAY_RECORD_SIZE, whole.log + b * REPLAY_RECORD_SIZE,
                   REPLAY_RECORD_SIZE);
            place_put_log(place, bent, whole.log_length);
            place_open(place, PLACE_NOW);
            assert_refuses(place, "");
        }
    memcpy(bent, whole.log, whole.log_length);
    memcpy(bent + whole.log_length, whole.log + whole.log_length - REPLAY_RECORD_SIZE,
           REPLAY_RECORD_SIZE);
    place_put_log(place, bent, whole.log_length + REPLAY_RECORD_SIZE);
    place_open(place, PLACE_NOW);
    assert_refuses(place, "does not follow");
}

/* A record whose writing was interrupted never counted: the anchor does not name it. */
static void an_unfinished_record_is_cut_off(void **state)
{
    struct place *place = *state;
    static struct place_copy before, after;
    struct replay_command command = place_command("ops-1", 4);
    make_three(place, &before);
    place_open(place, PLACE_NOW);
    assert_int_equal(place_accept(place, &command), 0);
    place_copy(place, &after);
    for (size_t extra = 1; extra < REPLAY_RECORD_SIZE; extra += 37) {
        place_put_log(place, after.log, before.log_length + extra);
        place_put_anchor(place, before.anchor, sizeof before.anchor);
        assert_never_again(place, 3);
        assert_usable(place);
        assert_int_equal(place_accept(place, &command), 0);
        place_open(place, PLACE_NOW);
        assert_usable(place);
        assert_int_equal(place_admit(place, &command), REPLAY_REPLAYED);
    }
    memset(after.log + after.log_length - 256, 0, 256); /* a hole of the right size */
    place_put_log(place, after.log, after.log_length);
    place_put_anchor(place, before.anchor, sizeof before.anchor);
    assert_never_again(place, 3);
    assert_usable(place);
    assert_int_equal(place_accept(place, &command), 0);
    place_put_log(place, after.log, after.log_length + 1);
    place_put_anchor(place, before.anchor, sizeof before.anchor);
    place_open(place, PLACE_NOW);
    assert_refuses(place, "longer");
}

/* ---------------------------------------------------------------- reset */

static void a_reset_keeps_revocations_and_sets_the_old_aside(void **state)
{
    struct place *place = *state;
    run_whole(place, "ops-1", 1);
    assert_int_equal(replay_store_revoke(&place->store, "stolen", PLACE_NOW), 0);
    run_whole(place, "ops-1", 2);
    replay_store_end(&place->store);
    place_run(place, "printf X | dd of=%s/commands bs=1 seek=700 conv=notrunc status=none");
    place_open(place, PLACE_NOW);
    assert_refuses(place, "altered");
    assert_int_equal(replay_store_reset(&place->store, PLACE_NOW), 0);
    for (int restarted = 0; restarted < 2; restarted++) {
        const struct replay_state *known = replay_store_known(&place->store);
        assert_usable(place);
        assert_true(replay_state_key(known, "stolen")->revoked);
        assert_null(replay_state_key(known, "ops-1"));
        assert_int_equal(known->command_count, 0);
        place_open(place, PLACE_NOW);
    }
    place_run(place, "test -f %s/commands.bad-* && test -f %s/commands.anchor.bad-*");
}

/* A clock that was set forward and back, for good: the store is whole, but refuses. */
static void a_reset_of_a_whole_store_keeps_what_it_knows(void **state)
{
    struct place *place = *state;
    run_whole(place, "ops-1", 7);
    replay_store_clock(&place->store, PLACE_NOW + 900 * DAY_MS, 0);
    assert_false(replay_store_clock(&place->store, PLACE_NOW, 0));
    assert_int_equal(replay_store_reset(&place->store, PLACE_NOW), 0);
    for (int restarted = 0; restarted < 2; restarted++) {
        struct replay_command command = place_command("ops-1", 7);
        assert_usable(place);
        assert_true(replay_store_clock(&place->store, PLACE_NOW, 0));
        assert_non_null(find(place, &command));
        assert_int_equal(find(place, &command)->phase, ipc_COMMAND_ENDED);
        assert_int_equal(replay_state_admit(replay_store_known(&place->store), &command.receipt,
                                            PLACE_NOW / 1000 + 1),
                         REPLAY_REPLAYED);
        place_open(place, PLACE_NOW);
    }
}

/* ---------------------------------------------------------------- bounds */

static void a_thousand_receipts_wait(void **state)
{
    struct place *place = *state;
    struct replay_command command;
    for (uint64_t seq = 1; seq <= REPLAY_WAITING_MAX; seq++)
        run_whole(place, "ops-1", seq);
    command = place_command("ops-1", REPLAY_WAITING_MAX + 1);
    for (int restarted = 0; restarted < 2; restarted++) {
        assert_int_equal(replay_state_waiting(replay_store_known(&place->store)),
                         REPLAY_WAITING_MAX);
        replay_store_make_room(&place->store, PLACE_NOW + 6 * DAY_MS);
        assert_int_equal(place_admit(place, &command), REPLAY_FULL);
        place_open(place, PLACE_NOW);
        assert_usable(place);
    }
    replay_store_make_room(&place->store, PLACE_NOW + 8 * DAY_MS); /* one is given up */
    assert_int_equal(place_admit(place, &command), REPLAY_NEW);
    struct replay_command first = place_command("ops-1", 1);
    assert_null(find(place, &first));
    assert_int_equal(place_admit(place, &first), REPLAY_REPLAYED);
}

static void a_long_log_is_written_anew(void **state)
{
    struct place *place = *state;
    struct replay_command kept = place_command("ops-2", 1), held = place_command("ops-3", 1);
    run_whole(place, "ops-2", 1);
    assert_int_equal(place_accept(place, &held), 0);
    assert_int_equal(replay_store_revoke(&place->store, "stolen", PLACE_NOW), 0);
    uint64_t seq = 0, most = 0;
    while (place->store.file.at.generation == 1 && seq < 3000) {
        struct replay_command command = place_command("ops-1", ++seq);
        run_whole(place, "ops-1", seq);
        assert_int_equal(replay_store_deliver(&place->store, command.receipt.token, PLACE_NOW), 0);
        most = place->store.file.at.count > most ? place->store.file.at.count : most;
    }
    assert_int_equal(place->store.file.at.generation, 2);
    assert_in_range(most, 4000, 6000);
    assert_in_range(place->store.file.at.count, 10, 400);
    run_whole(place, "ops-1", ++seq);
    for (int restarted = 0; restarted < 2; restarted++) {
        const struct replay_state *known = replay_store_known(&place->store);
        assert_usable(place);
        for (uint64_t old = 1; old <= seq; old++) {
            struct replay_command command = place_command("ops-1", old);
            assert_int_equal(place_admit(place, &command), REPLAY_REPLAYED);
        }
        assert_int_equal(find(place, &kept)->phase, ipc_COMMAND_ENDED);
        assert_int_equal(find(place, &held)->phase, ipc_COMMAND_ACCEPTED);
        assert_true(replay_state_key(known, "stolen")->revoked);
        assert_int_equal(known->begin.epoch_ms, PLACE_NOW);
        place_open(place, PLACE_NOW);
    }
}

/* ---------------------------------------------------------------- a disk that does not help */

static void fill_disk(const struct place *place)
{
    place_run(place, "dd if=/dev/zero of=%s/filler bs=512 2>/dev/null; true");
}

static void mount_small(struct place *place, const char *options)
{
    close(place->folder);
    if (mount("tmpfs", place->path, "tmpfs", 0, options) != 0)
        skip();
    place->folder = state_folder_open(place->path);
    place_open(place, PLACE_NOW);
    assert_usable(place);
}

static void a_full_disk_refuses_and_recovers(void **state)
{
    struct place *place = *state;
    struct replay_command command = place_command("ops-1", 100);
    mount_small(place, "size=64k,mode=0700");
    run_whole(place, "ops-1", 1);
    fill_disk(place);
    uint64_t seq = 1;
    int error = 0;
    while (!error && seq < 90) { /* the page that is there already takes some more */
        struct replay_command next = place_command("ops-1", ++seq);
        error = place_accept(place, &next);
    }
    assert_int_equal(error, -ENOSPC);
    place_run(place, "rm %s/filler");
    assert_usable(place);
    assert_int_equal(place_accept(place, &command), 0);
    place_open(place, PLACE_NOW);
    assert_usable(place);
    assert_int_equal(place_admit(place, &command), REPLAY_REPLAYED);
}

static void a_read_only_disk_refuses(void **state)
{
    struct place *place = *state;
    mount_small(place, "size=64k,mode=0700");
    assert_int_equal(state_file_write(place->folder, KEY_FILES_MARKER, "", 0), 0);
    run_whole(place, "ops-1", 1);
    replay_store_end(&place->store);
    close(place->folder);
    assert_int_equal(mount(NULL, place->path, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    place->folder = state_folder_open(place->path);
    place_open(place, PLACE_NOW);
    assert_refuses(place, "Read-only file system");
    replay_store_retry(&place->store, 1, PLACE_NOW);
    replay_store_retry(&place->store, 2, PLACE_NOW);
    assert_refuses(place, "Read-only file system");
    assert_int_equal(mount(NULL, place->path, NULL, MS_REMOUNT, NULL), 0);
    replay_store_retry(&place->store, 4000, PLACE_NOW);
    assert_false(replay_store_usable(&place->store)); /* not yet */
    replay_store_retry(&place->store, 5001, PLACE_NOW);
    assert_usable(place);
}

/* A key must not be made before the store: without one it would look as if it was lost. */
static void a_full_disk_at_first_start_holds_the_key_back(void **state)
{
    struct place *place = *state;
    mount_small(place, "size=64k,mode=0700");
    replay_store_end(&place->store);
    place_run(place, "rm -f %s/*");
    fill_disk(place);
    place_open(place, PLACE_NOW);
    assert_refuses(place, "No space");
    assert_true(replay_store_comes_first(&place->store));
    place_run(place, "rm %s/filler");
    replay_store_retry(&place->store, 5000, PLACE_NOW);
    assert_usable(place);
    assert_false(replay_store_comes_first(&place->store));
}

static void files_of_others_are_not_taken(void **state)
{
    struct place *place = *state;
    static const char *const deeds[] = {
        "chmod 644 %s/commands",
        "chmod 660 %s/commands.anchor",
        "mv %s/commands %s/c && ln -s c %s/commands",
        "ln %s/commands.anchor %s/a",
        "mv %s/commands %s/c && mkfifo -m 600 %s/commands",
        "mv %s/commands %s/c && mkdir -m 700 %s/commands",
    };
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
        place_run(place, "rm -rf %s/*");
        place_open(place, PLACE_NOW);
        replay_store_end(&place->store);
        place_run(place, deeds[i]);
        place_open(place, PLACE_NOW);
        assert_refuses(place, "not the vault's alone");
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
        test(a_missing_store_waits_for_an_administrator),
        test(any_trace_of_a_key_means_that_there_was_a_store),
        test(half_a_store_is_none),
        test(an_older_copy_is_found),
        test(files_that_change_while_they_are_in_use_are_noticed),
        test(older_copies_of_both_are_noticed_while_running),
        test(cut_anywhere_it_is_found),
        test(a_flipped_bit_is_found),
        test(swapped_and_doubled_records_are_found),
        test(an_unfinished_record_is_cut_off),
        test(a_reset_keeps_revocations_and_sets_the_old_aside),
        test(a_reset_of_a_whole_store_keeps_what_it_knows),
        test(a_thousand_receipts_wait),
        test(a_long_log_is_written_anew),
        test(a_full_disk_refuses_and_recovers),
        test(a_read_only_disk_refuses),
        test(a_full_disk_at_first_start_holds_the_key_back),
        test(files_of_others_are_not_taken),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What the replay store finds out about its files, and what it does about it: missing, older,
 * altered, replaced under its hands, on a disk that is full. Crashes are in replay_fault_test.c.
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

/* ---------------------------------------------------------------- missing, damaged, older */

static void a_missing_store_waits_for_an_administrator(void **state)
{
    struct place *place = *state;
    place_run_whole(place, "ops-1", 10);
    place_run(place, "rm %s/commands %s/commands.anchor");
    place_open(place, PLACE_NOW);
    place_assert_refuses(place, "it is missing");
    assert_int_equal(state_file_exists(place->folder, REPLAY_FILE_LOG), 0);
    place_open(place, PLACE_NOW);
    place_assert_refuses(place, "it is missing");
    assert_int_equal(replay_store_reset(&place->store, PLACE_NOW + 1500), 0);
    place_assert_usable(place);
    place_open(place, PLACE_NOW + 1500);
    place_assert_usable(place);
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
        place_assert_refuses(place, "it is missing");
    }
    place_run(place, "rm -f %s/*");
    place_open(place, PLACE_NOW);
    place_assert_usable(place);
}

static void half_a_store_is_none(void **state)
{
    struct place *place = *state;
    place_run_whole(place, "ops-1", 10);
    place_run(place, "mv %s/commands %s/elsewhere");
    place_open(place, PLACE_NOW);
    place_assert_refuses(place, "the log is missing");
    place_run(place, "mv %s/elsewhere %s/commands && rm %s/commands.anchor");
    place_open(place, PLACE_NOW);
    place_assert_refuses(place, "the anchor is missing");
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
        place_assert_refuses(place, "older");
    }
    for (int i = 0; i < 6; i++) { /* the anchor alone: behind by more than a crash explains */
        place_put_log(place, last.log, last.log_length);
        place_put_anchor(place, copies[i].anchor, sizeof last.anchor);
        place_open(place, PLACE_NOW);
        place_assert_refuses(place, "do not belong together");
    }
    place_put_anchor(place, copies[6].anchor, sizeof last.anchor);
    place_open(place, PLACE_NOW); /* one record ahead: nothing is lost by that */
    place_assert_usable(place);
    assert_int_equal(place_admit(place, &command), REPLAY_REPLAYED);
}

/* Copies of both fit together, but the kernel tells that they were put there. */
static void older_copies_of_both_are_found(void **state)
{
    struct place *place = *state;
    static const char *const ways[] = {
        "cp -p %s/kept/* %s",
        "cp %s/kept/* %s",
        "mv %s/kept/* %s",
        "cd %s && cp -p kept/commands.anchor . && cp -p kept/commands .",
        "cd %s && cp -p commands c && mv c commands && mv kept/* .",
    };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        place_run(place, "rm -rf %s/*");
        place_open(place, PLACE_NOW);
        assert_int_equal(state_file_write(place->folder, KEY_FILES_MARKER, "", 0), 0);
        place_run_whole(place, "ops-1", 1);
        replay_store_end(&place->store);
        place_run(place, "mkdir %s/kept && cd %s && cp -p commands commands.anchor kept");
        place_open(place, PLACE_NOW);
        place_assert_usable(place);
        place_run_whole(place, "ops-1", 2);
        replay_store_end(&place->store);
        place_run(place, ways[i]);
        place_open(place, PLACE_NOW);
        place_assert_refuses(place, "somebody else wrote the log");
    }
}

/* While it runs, and whatever the kernel tells. */
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
        place_run_whole(place, "ops-1", 1);
        place_run(place, deeds[i]);
        struct replay_command command = place_command("ops-1", 2);
        assert_int_not_equal(replay_store_accept(&place->store, &command, PLACE_NOW), 0);
        place_assert_refuses(place, "while it was in use");
    }
}

static void older_copies_of_both_are_noticed_while_running(void **state)
{
    struct place *place = *state;
    static struct place_copy copy;
    place_copy(place, &copy);
    place_run_whole(place, "ops-1", 1);
    place_put_log(place, copy.log, copy.log_length);
    place_put_anchor(place, copy.anchor, sizeof copy.anchor);
    struct replay_command again = place_command("ops-1", 1);
    assert_int_equal(place_admit(place, &again), REPLAY_REPLAYED);
    assert_int_not_equal(replay_store_revoke(&place->store, "other", PLACE_NOW), 0);
    place_assert_refuses(place, "while it was in use");
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
    place_run_whole(place, "ops-1", 1);
    place_run_whole(place, "ops-1", 2);
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
        place_assert_refuses(place, "altered");
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
        place_assert_refuses(place, "altered");
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
            place_assert_refuses(place, "");
        }
    memcpy(bent, whole.log, whole.log_length);
    memcpy(bent + whole.log_length, whole.log + whole.log_length - REPLAY_RECORD_SIZE,
           REPLAY_RECORD_SIZE);
    place_put_log(place, bent, whole.log_length + REPLAY_RECORD_SIZE);
    place_open(place, PLACE_NOW);
    place_assert_refuses(place, "does not follow");
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
        place_assert_usable(place);
        assert_int_equal(place_accept(place, &command), 0);
        place_open(place, PLACE_NOW);
        place_assert_usable(place);
        assert_int_equal(place_admit(place, &command), REPLAY_REPLAYED);
    }
    memset(after.log + after.log_length - 256, 0, 256); /* a hole of the right size */
    place_put_log(place, after.log, after.log_length);
    place_put_anchor(place, before.anchor, sizeof before.anchor);
    assert_never_again(place, 3);
    place_assert_usable(place);
    assert_int_equal(place_accept(place, &command), 0);
    place_put_log(place, after.log, after.log_length + 1);
    place_put_anchor(place, before.anchor, sizeof before.anchor);
    place_open(place, PLACE_NOW);
    place_assert_refuses(place, "longer");
}

/* ---------------------------------------------------------------- reset */

static void a_reset_keeps_keys_and_sets_the_old_aside(void **state)
{
    struct place *place = *state;
    place_run_whole(place, "ops-1", 1);
    assert_int_equal(replay_store_revoke(&place->store, "stolen", PLACE_NOW), 0);
    place_run_whole(place, "ops-1", 2);
    replay_store_end(&place->store);
    place_run(place, "printf X | dd of=%s/commands bs=1 seek=700 conv=notrunc status=none");
    place_open(place, PLACE_NOW);
    place_assert_refuses(place, "altered");
    assert_int_equal(replay_store_reset(&place->store, PLACE_NOW), 0);
    for (int restarted = 0; restarted < 2; restarted++) {
        const struct replay_state *known = replay_store_known(&place->store);
        place_assert_usable(place);
        assert_true(replay_state_key(known, "stolen")->revoked);
        assert_int_equal(replay_state_key(known, "ops-1")->highest, 2);
        assert_false(replay_state_key(known, "ops-1")->revoked);
        assert_int_equal(known->command_count, 0);
        place_open(place, PLACE_NOW);
    }
    place_run(place, "test -f %s/commands.bad-* && test -f %s/commands.anchor.bad-*");
}

/* Its battery is empty, an administrator resets, and only then it learns what time it is. */
static void a_reset_by_a_wrong_clock_lets_nothing_run_again(void **state)
{
    struct place *place = *state;
    struct replay_command command = place_command("ops-1", 7);
    place_run_whole(place, "ops-1", 7);
    replay_store_end(&place->store);
    place_run(place, "rm %s/commands.anchor");
    place_open(place, PLACE_NOW - 900 * DAY_MS);
    assert_int_equal(replay_store_reset(&place->store, PLACE_NOW - 900 * DAY_MS), 0);
    for (int restarted = 0; restarted < 2; restarted++) {
        const struct replay_state *known = replay_store_known(&place->store);
        place_assert_usable(place);
        assert_int_equal(replay_state_admit(known, &command.receipt, PLACE_NOW / 1000),
                         REPLAY_REPLAYED);
        place_open(place, PLACE_NOW);
    }
    command.receipt.seq = 6;
    command.receipt.jti[0] ^= 1;
    assert_int_equal(place_admit(place, &command), REPLAY_SEQUENCE);
    place_run_whole(place, "ops-1", 8);
}

/* A clock that was set forward and back, for good: the store is whole, but refuses. */
static void a_reset_of_a_whole_store_keeps_what_it_knows(void **state)
{
    struct place *place = *state;
    place_run_whole(place, "ops-1", 7);
    replay_store_clock(&place->store, PLACE_NOW + 900 * DAY_MS, 0);
    assert_false(replay_store_clock(&place->store, PLACE_NOW, 0));
    assert_int_equal(replay_store_reset(&place->store, PLACE_NOW), 0);
    for (int restarted = 0; restarted < 2; restarted++) {
        struct replay_command command = place_command("ops-1", 7);
        place_assert_usable(place);
        assert_true(replay_store_clock(&place->store, PLACE_NOW, 0));
        assert_non_null(place_find(place, &command));
        assert_int_equal(place_find(place, &command)->phase, ipc_COMMAND_ENDED);
        assert_int_equal(replay_state_admit(replay_store_known(&place->store), &command.receipt,
                                            PLACE_NOW / 1000 + 1),
                         REPLAY_REPLAYED);
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
    place_assert_usable(place);
}

static void a_full_disk_refuses_and_recovers(void **state)
{
    struct place *place = *state;
    struct replay_command command = place_command("ops-1", 100);
    mount_small(place, "size=64k,mode=0700");
    place_run_whole(place, "ops-1", 1);
    fill_disk(place);
    uint64_t seq = 1;
    int error = 0;
    while (!error && seq < 90) { /* the page that is there already takes some more */
        struct replay_command next = place_command("ops-1", ++seq);
        error = place_accept(place, &next);
    }
    assert_int_equal(error, -ENOSPC);
    place_open(place, PLACE_NOW); /* the kernel calls the log changed */
    place_assert_usable(place);
    place_run(place, "rm %s/filler");
    place_assert_usable(place);
    assert_int_equal(place_accept(place, &command), 0);
    place_open(place, PLACE_NOW);
    place_assert_usable(place);
    assert_int_equal(place_admit(place, &command), REPLAY_REPLAYED);
}

static void a_read_only_disk_refuses(void **state)
{
    struct place *place = *state;
    mount_small(place, "size=64k,mode=0700");
    assert_int_equal(state_file_write(place->folder, KEY_FILES_MARKER, "", 0), 0);
    place_run_whole(place, "ops-1", 1);
    replay_store_end(&place->store);
    close(place->folder);
    assert_int_equal(mount(NULL, place->path, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    place->folder = state_folder_open(place->path);
    place_open(place, PLACE_NOW);
    place_assert_refuses(place, "Read-only file system");
    replay_store_retry(&place->store, 1, PLACE_NOW);
    replay_store_retry(&place->store, 2, PLACE_NOW);
    place_assert_refuses(place, "Read-only file system");
    assert_int_equal(mount(NULL, place->path, NULL, MS_REMOUNT, NULL), 0);
    replay_store_retry(&place->store, 4000, PLACE_NOW);
    assert_false(replay_store_usable(&place->store)); /* not yet */
    replay_store_retry(&place->store, 5001, PLACE_NOW);
    place_assert_usable(place);
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
    place_assert_refuses(place, "No space");
    assert_true(replay_store_comes_first(&place->store));
    place_run(place, "rm %s/filler");
    replay_store_retry(&place->store, 5000, PLACE_NOW);
    place_assert_usable(place);
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
        place_assert_refuses(place, "not the vault's alone");
    }
}

#define test(name) cmocka_unit_test_setup_teardown(name, place_set_up, place_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_missing_store_waits_for_an_administrator),
        test(any_trace_of_a_key_means_that_there_was_a_store),
        test(half_a_store_is_none),
        test(an_older_copy_is_found),
        test(older_copies_of_both_are_found),
        test(files_that_change_while_they_are_in_use_are_noticed),
        test(older_copies_of_both_are_noticed_while_running),
        test(cut_anywhere_it_is_found),
        test(a_flipped_bit_is_found),
        test(swapped_and_doubled_records_are_found),
        test(an_unfinished_record_is_cut_off),
        test(a_reset_keeps_keys_and_sets_the_old_aside),
        test(a_reset_by_a_wrong_clock_lets_nothing_run_again),
        test(a_reset_of_a_whole_store_keeps_what_it_knows),
        test(a_full_disk_refuses_and_recovers),
        test(a_read_only_disk_refuses),
        test(a_full_disk_at_first_start_holds_the_key_back),
        test(files_of_others_are_not_taken),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}

#include "replay_place.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>
#include <cmocka.h>

#include "key_files.h"

void place_open(struct place *place, uint64_t unix_ms)
{
    replay_store_end(&place->store);
    assert_int_equal(replay_store_begin(&place->store, place->folder, 0), 0);
    replay_store_open(&place->store, unix_ms);
}

int place_set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    strcpy(place->path, "/tmp/replay_test.XXXXXX");
    assert_non_null(mkdtemp(place->path));
    place->folder = state_folder_open(place->path);
    assert_true(place->folder >= 0);
    replay_file_begin(&place->store.file, place->folder);
    place_open(place, PLACE_NOW);
    assert_string_equal(replay_store_trouble(&place->store), "");
    assert_int_equal(state_file_write(place->folder, KEY_FILES_MARKER, "", 0), 0);
    *state = place;
    return 0;
}

int place_tear_down(void **state)
{
    struct place *place = *state;
    char command[128];
    replay_store_end(&place->store);
    close(place->folder);
    umount2(place->path, MNT_DETACH);
    snprintf(command, sizeof command, "rm -r %s", place->path);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

void place_run(const struct place *place, const char *format)
{
    char command[512] = "";
    size_t used = 0;
    for (const char *at = format; *at; at++) {
        int n = at[0] == '%' && at[1] == 's'
                    ? snprintf(command + used, sizeof command - used, "%s", (at++, place->path))
                    : snprintf(command + used, sizeof command - used, "%c", *at);
        used += (size_t)n;
        assert_true(used < sizeof command);
    }
    assert_int_equal(system(command), 0);
}

static size_t read_one(const struct place *place, const char *name, uint8_t *out, size_t capacity)
{
    size_t length = 0;
    assert_int_equal(state_file_read(place->folder, name, out, capacity, &length), STATE_READ);
    return length;
}

void place_copy(const struct place *place, struct place_copy *out)
{
    out->log_length = read_one(place, REPLAY_FILE_LOG, out->log, sizeof out->log);
    assert_int_equal(read_one(place, REPLAY_FILE_ANCHOR, out->anchor, sizeof out->anchor),
                     sizeof out->anchor);
}

static void seal_place(const struct state_file *anchor, off_t at, uint64_t changed)
{
    uint8_t bytes[REPLAY_ANCHOR_SIZE] = {0};
    struct replay_anchors anchors;
    if (state_file_read_at(anchor, bytes, REPLAY_ANCHOR_PLACE, at) != 0 ||
        !replay_anchors_decode(&anchors, bytes))
        return;
    anchors.newest.changed = changed;
    replay_anchor_encode(bytes, &anchors.newest);
    assert_int_equal(pwrite(anchor->fd, bytes, REPLAY_ANCHOR_PLACE, at), REPLAY_ANCHOR_PLACE);
}

void place_seal(const struct place *place)
{
    struct state_file log, anchor;
    uint64_t changed;
    if (state_file_open(place->folder, REPLAY_FILE_LOG, &log) != 0)
        return;
    assert_int_equal(state_file_changed(&log, &changed), 0);
    state_file_close(&log);
    if (state_file_open(place->folder, REPLAY_FILE_ANCHOR, &anchor) != 0)
        return;
    seal_place(&anchor, 0, changed);
    seal_place(&anchor, REPLAY_ANCHOR_STRIDE, changed);
    state_file_close(&anchor);
}

void place_put_log(const struct place *place, const uint8_t *bytes, size_t length)
{
    assert_int_equal(state_file_write(place->folder, REPLAY_FILE_LOG, bytes, length), 0);
    place_seal(place);
}

void place_put_anchor(const struct place *place, const uint8_t *bytes, size_t length)
{
    assert_int_equal(state_file_write(place->folder, REPLAY_FILE_ANCHOR, bytes, length), 0);
    place_seal(place);
}

struct replay_command place_command(const char *kid, uint64_t seq)
{
    struct replay_command command = {.exp = PLACE_NOW / 1000 + 3600, .summary = "/bin/true"};
    struct receipt *receipt = &command.receipt;
    snprintf(receipt->kid, sizeof receipt->kid, "%s", kid);
    snprintf((char *)receipt->token, sizeof receipt->token, "t%.6s%u", kid, (unsigned)seq);
    snprintf((char *)receipt->jti, sizeof receipt->jti, "j%.6s%u", kid, (unsigned)seq);
    receipt->has_claims = true;
    receipt->seq = seq;
    receipt->profile = ipc_PROFILE_DIAGNOSTIC;
    return command;
}

enum replay_admission place_admit(const struct place *place, const struct replay_command *command)
{
    return replay_state_admit(replay_store_known(&place->store), &command->receipt,
                              PLACE_NOW / 1000);
}

int place_accept(struct place *place, const struct replay_command *command)
{
    assert_int_equal(place_admit(place, command), REPLAY_NEW);
    return replay_store_accept(&place->store, command, PLACE_NOW);
}

int place_finish(struct place *place, const struct replay_command *command, uint32_t code)
{
    struct receipt receipt = {.decision = RECEIPT_RUN,
                              .end = ipc_END_EXITED,
                              .code = code,
                              .started_ms = PLACE_NOW,
                              .ended_ms = PLACE_NOW + 5};
    memcpy(receipt.token, command->receipt.token, sizeof receipt.token);
    return replay_store_finish(&place->store, &receipt, PLACE_NOW);
}

void place_assert_usable(const struct place *place)
{
    assert_string_equal(replay_store_trouble(&place->store), "");
    assert_true(replay_store_usable(&place->store));
}

/* It says `why`, and nothing can be written. */
void place_assert_refuses(struct place *place, const char *why)
{
    struct replay_command command = place_command("other", 1);
    assert_false(replay_store_usable(&place->store));
    if (!strstr(replay_store_trouble(&place->store), why))
        fail_msg("\"%s\" does not say \"%s\"", replay_store_trouble(&place->store), why);
    assert_int_not_equal(replay_store_accept(&place->store, &command, PLACE_NOW), 0);
    assert_int_not_equal(replay_store_revoke(&place->store, "other", PLACE_NOW), 0);
}

const struct replay_command *place_find(const struct place *place,
                                        const struct replay_command *command)
{
    return replay_state_find(replay_store_known(&place->store), command->receipt.token);
}

void place_run_whole(struct place *place, const char *kid, uint64_t seq)
{
    struct replay_command command = place_command(kid, seq);
    assert_int_equal(place_accept(place, &command), 0);
    assert_int_equal(replay_store_start(&place->store, command.receipt.token, PLACE_NOW), 0);
    assert_int_equal(place_finish(place, &command, 0), 0);
}

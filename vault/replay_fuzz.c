/*
 * The reader of the replay store's two files. The first byte says how the rest is taken:
 *   bit 0  digests, indexes and links of the log's records are made right first, which lets the
 *          fuzzer past them; bit 1 the anchor's too, and it is set to the log's end
 * then REPLAY_ANCHOR_PLACE bytes for each of the anchor's places, and the log.
 *
 * Whatever is accepted can be written anew and read back as the same; of what it says was accepted
 * nothing is admitted again; and what it accepts without help is what a writer would have written.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "replay_reader.h"

#define RECORDS_MAX 24

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct replay_state *state, *again;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return sodium_init() < 0 || replay_state_new(&state) < 0 || replay_state_new(&again) < 0;
}

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* Little-endian, as all integers of a record. */
static void put(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

/* Where things are: docs/replay-store.md. */
static void make_right(uint8_t *log, size_t records)
{
    for (size_t i = 0; i < records; i++) {
        uint8_t *record = log + i * REPLAY_RECORD_SIZE;
        memcpy(record, "CLRPLY1", 8);
        record[8] = (uint8_t)(i == 0 ? REPLAY_BEGIN : record[8] % (REPLAY_TIME + 1));
        put(record + 16, log[16] % 3 + 1u);
        put(record + 24, i);
        if (i > 0)
            memcpy(record + 40, record - REPLAY_DIGEST_SIZE, REPLAY_DIGEST_SIZE);
        replay_record_digest(record + REPLAY_RECORD_SIZE - REPLAY_DIGEST_SIZE, record);
    }
}

static void check_record(const uint8_t bytes[REPLAY_RECORD_SIZE])
{
    struct replay_record record;
    uint8_t written[REPLAY_RECORD_SIZE], digest[REPLAY_DIGEST_SIZE];
    if (!replay_record_decode(&record, bytes))
        return;
    replay_record_encode(written, digest, &record);
    check(memcmp(written, bytes, sizeof written) == 0);
}

static void check_bounds(const struct replay_state *s)
{
    check(s->key_count <= REPLAY_KEYS_MAX && s->id_count <= REPLAY_IDS_HELD_MAX);
    check(s->command_count <= REPLAY_WAITING_MAX + 1 && s->recent_count <= REPLAY_RECENT_MAX);
    for (size_t i = 0; i < s->id_count; i++)
        check(s->ids[i].key < s->key_count && s->ids[i].seq <= s->keys[s->ids[i].key].highest);
    for (size_t i = 0; i < s->command_count; i++) {
        const struct receipt *receipt = &s->commands[i].receipt;
        check(replay_state_admit(s, receipt, UINT64_MAX) == REPLAY_REPLAYED);
        check(replay_state_find(s, receipt->token) == &s->commands[i]);
    }
}

/* Takes a snapshot's record as the next of a log. */
static void take_over(void *context, struct replay_record *record)
{
    uint64_t *index = context;
    uint8_t bytes[REPLAY_RECORD_SIZE], digest[REPLAY_DIGEST_SIZE];
    struct replay_record read;
    record->generation = 1;
    record->index = (*index)++;
    replay_record_encode(bytes, digest, record);
    check(replay_record_decode(&read, bytes));
    check(replay_state_apply(again, &read) == NULL);
}

static void check_snapshot(void)
{
    uint64_t index = 0;
    replay_state_clear(again);
    replay_state_snapshot(state, take_over, &index);
    check(index == state->begin.records);
    check(again->key_count == state->key_count && again->id_count == state->id_count);
    check(again->command_count == state->command_count);
    check(again->high_water_ms == state->high_water_ms);
    check(memcmp(again->keys, state->keys, state->key_count * sizeof *state->keys) == 0);
    for (size_t i = 0; i < state->command_count; i++) {
        check(again->commands[i].phase == state->commands[i].phase);
        check(memcmp(again->commands[i].receipt.token, state->commands[i].receipt.token,
                     ORDER_TOKEN_SIZE) == 0);
    }
    check_bounds(again);
}

static void judge(const struct replay_reader *reader, const uint8_t *places, bool matching)
{
    uint8_t bytes[REPLAY_ANCHOR_SIZE] = {0};
    struct replay_anchors anchors;
    memcpy(bytes, places, REPLAY_ANCHOR_PLACE);
    memcpy(bytes + REPLAY_ANCHOR_STRIDE, places + REPLAY_ANCHOR_PLACE, REPLAY_ANCHOR_PLACE);
    if (matching) {
        replay_anchor_encode(bytes, &reader->at);
        memcpy(bytes + REPLAY_ANCHOR_STRIDE, bytes, REPLAY_ANCHOR_PLACE);
    }
    if (!replay_anchors_decode(&anchors, bytes))
        return;
    check(anchors.place == 0 || anchors.place == 1);
    enum replay_verdict verdict = replay_reader_settle(reader, &anchors);
    if (verdict == REPLAY_AT_ANCHOR)
        check(anchors.newest.count == reader->at.count);
    if (matching && reader->at.count >= state->begin.records)
        check(verdict == REPLAY_AT_ANCHOR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t log[RECORDS_MAX * REPLAY_RECORD_SIZE];
    struct replay_reader reader;
    if (size < 1 + 2 * REPLAY_ANCHOR_PLACE)
        return 0;
    const uint8_t *places = data + 1, *from = places + 2 * REPLAY_ANCHOR_PLACE;
    size_t length = size - 1 - 2 * REPLAY_ANCHOR_PLACE;
    length = length < sizeof log ? length : sizeof log;
    memset(log, 0, sizeof log);
    memcpy(log, from, length);
    size_t records = (length + REPLAY_RECORD_SIZE - 1) / REPLAY_RECORD_SIZE;
    if (data[0] & 1)
        make_right(log, records);
    replay_reader_begin(&reader, state);
    for (size_t i = 0; i < records; i++) {
        check_record(log + i * REPLAY_RECORD_SIZE);
        if (replay_reader_take(&reader, log + i * REPLAY_RECORD_SIZE))
            break;
        check_bounds(state);
    }
    if (reader.at.count == 0)
        return 0;
    judge(&reader, places, data[0] & 2);
    if (reader.at.count >= state->begin.records)
        check_snapshot();
    return 0;
}

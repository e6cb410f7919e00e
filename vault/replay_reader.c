#include "replay_reader.h"

#include <sodium.h>
#include <string.h>

#define MAGIC      "CLANCH1"
#define DIGEST_AT  (REPLAY_ANCHOR_PLACE - REPLAY_DIGEST_SIZE)
#define HEAD_AT    24
#define CHANGED_AT 56

_Static_assert(sizeof MAGIC == 8, "with its NUL");
_Static_assert(HEAD_AT + REPLAY_DIGEST_SIZE == CHANGED_AT, "the head fits");
_Static_assert(CHANGED_AT + 8 == DIGEST_AT, "the time fits");

/* ---------------------------------------------------------------- the anchor */

static void put(uint8_t *out, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

void replay_anchor_encode(uint8_t out[REPLAY_ANCHOR_PLACE], const struct replay_anchor *anchor)
{
    memcpy(out, MAGIC, 8);
    put(out + 8, anchor->generation);
    put(out + 16, anchor->count);
    memcpy(out + HEAD_AT, anchor->head, REPLAY_DIGEST_SIZE);
    put(out + CHANGED_AT, anchor->changed);
    crypto_generichash(out + DIGEST_AT, REPLAY_DIGEST_SIZE, out, DIGEST_AT, NULL, 0);
}

static bool decode(struct replay_anchor *out, const uint8_t bytes[REPLAY_ANCHOR_PLACE])
{
    uint8_t digest[REPLAY_DIGEST_SIZE];
    crypto_generichash(digest, sizeof digest, bytes, DIGEST_AT, NULL, 0);
    out->generation = get(bytes + 8);
    out->count = get(bytes + 16);
    memcpy(out->head, bytes + HEAD_AT, REPLAY_DIGEST_SIZE);
    out->changed = get(bytes + CHANGED_AT);
    return memcmp(bytes, MAGIC, 8) == 0 && memcmp(digest, bytes + DIGEST_AT, sizeof digest) == 0 &&
           out->generation > 0 && out->count > 0;
}

static bool is_same(const struct replay_anchor *a, const struct replay_anchor *b)
{
    return a->generation == b->generation && a->count == b->count &&
           memcmp(a->head, b->head, REPLAY_DIGEST_SIZE) == 0;
}

/* Whether `b` can have been written next after `a`; the same log again only if it was touched. */
static bool is_successor(const struct replay_anchor *a, const struct replay_anchor *b)
{
    if (a->generation == b->generation)
        return b->count - a->count == 1 || (is_same(a, b) && a->changed < b->changed);
    return b->generation - a->generation == 1;
}

bool replay_anchors_decode(struct replay_anchors *out, const uint8_t bytes[REPLAY_ANCHOR_SIZE])
{
    struct replay_anchor place[2];
    bool whole[2];
    for (int i = 0; i < 2; i++)
        whole[i] = decode(&place[i], bytes + i * REPLAY_ANCHOR_STRIDE);
    if (!sodium_is_zero(bytes + REPLAY_ANCHOR_PLACE, REPLAY_ANCHOR_STRIDE - REPLAY_ANCHOR_PLACE) ||
        (!whole[0] && !whole[1]))
        return false;
    int newest = whole[0] && whole[1] ? is_successor(&place[0], &place[1]) : whole[1];
    out->newest = place[newest];
    out->place = !newest;
    out->unwritten = !whole[!newest];
    return out->unwritten || is_same(&place[0], &place[1]) ||
           is_successor(&place[!newest], &place[newest]);
}

/* ---------------------------------------------------------------- the log */

void replay_reader_begin(struct replay_reader *reader, struct replay_state *state)
{
    *reader = (struct replay_reader){.state = state};
    replay_state_clear(state);
}

/* The first record says what the log follows; each of the others follows the one before it. */
static bool is_next(struct replay_reader *reader, const struct replay_record *record)
{
    struct replay_anchor *at = &reader->at;
    if (record->index != at->count)
        return false;
    if (at->count > 0)
        return record->generation == at->generation &&
               memcmp(record->previous, at->head, REPLAY_DIGEST_SIZE) == 0;
    if (record->kind != REPLAY_BEGIN || (record->generation == 1) != (record->begin.follows == 0))
        return false;
    at->generation = record->generation;
    reader->follows.generation = record->generation - 1;
    reader->follows.count = record->begin.follows;
    memcpy(reader->follows.head, record->previous, REPLAY_DIGEST_SIZE);
    return true;
}

const char *replay_reader_take(struct replay_reader *reader,
                               const uint8_t bytes[REPLAY_RECORD_SIZE])
{
    struct replay_record record;
    if (!replay_record_decode(&record, bytes))
        return "a record was altered";
    if (!is_next(reader, &record))
        return "a record does not follow the one before it";
    const char *wrong = replay_state_apply(reader->state, &record);
    if (wrong)
        return wrong;
    reader->before = reader->at;
    replay_record_digest(reader->at.head, bytes);
    reader->at.count++;
    return NULL;
}

/* ---------------------------------------------------------------- both */

enum replay_verdict replay_reader_settle(const struct replay_reader *reader,
                                         const struct replay_anchors *anchors)
{
    const struct replay_anchor *at = &reader->at, *newest = &anchors->newest;
    if (at->count == 0 || at->count < reader->state->begin.records)
        return REPLAY_CUT;
    if (!anchors->unwritten && is_same(at, newest))
        return REPLAY_AT_ANCHOR;
    if (is_same(&reader->before, newest) && reader->before.count >= reader->state->begin.records)
        return REPLAY_AHEAD;
    if (is_same(&reader->follows, newest) && at->count == reader->state->begin.records)
        return REPLAY_AHEAD;
    bool older = at->generation < newest->generation ||
                 (at->generation == newest->generation && at->count < newest->count);
    return older ? REPLAY_OLDER : REPLAY_FOREIGN;
}

bool replay_reader_is_new(const struct replay_reader *reader)
{
    return reader->at.generation == 1 && reader->at.count == 1 && reader->state->begin.records == 1;
}

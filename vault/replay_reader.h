/*
 * Judges the bytes of a replay store: the log's records one after the other, and then the log
 * against its anchor, which says how long the log was and how it ended.
 *
 * A record counts once it is durable in the log and the anchor names it, in this order. So a crash
 * leaves the log at the anchor, or one record ahead of it, or with an unfinished record behind it;
 * or, after the log was written anew, the whole new log under the anchor of the old one. Nothing
 * else is accepted. docs/replay-store.md has the bytes and the crash points.
 *
 * Pure but for its outputs; any thread. libsodium must have been initialised.
 */
#ifndef CLOISTER_VAULT_REPLAY_READER_H
#define CLOISTER_VAULT_REPLAY_READER_H

#include "replay_state.h"

/* The anchor's file has two places, written in turn, so that one of them is always whole. */
#define REPLAY_ANCHOR_STRIDE 4096
#define REPLAY_ANCHOR_PLACE  96
#define REPLAY_ANCHOR_SIZE   (REPLAY_ANCHOR_STRIDE + REPLAY_ANCHOR_PLACE)

/* How far a log goes. */
struct replay_anchor {
    uint64_t generation;
    uint64_t count;                   /* its records */
    uint8_t head[REPLAY_DIGEST_SIZE]; /* digest of the last of them */
    uint64_t changed;                 /* ns: the log's state_file_changed() with it */
};

/* What stands in the anchor's file. */
struct replay_anchors {
    struct replay_anchor newest;
    int place;      /* 0 or 1: where the next one is to be written */
    bool unwritten; /* the other place is not whole: its writing was interrupted */
};

/* Writes one place of the anchor's file. */
void replay_anchor_encode(uint8_t out[REPLAY_ANCHOR_PLACE], const struct replay_anchor *anchor);

/* Reads the anchor's file. false: neither place is whole, or they cannot follow each other. */
bool replay_anchors_decode(struct replay_anchors *out, const uint8_t bytes[REPLAY_ANCHOR_SIZE]);

struct replay_reader {
    struct replay_state *state;   /* the caller's */
    struct replay_anchor at;      /* the log, as far as it was taken */
    struct replay_anchor before;  /* the same, one record earlier; count 0: there was none */
    struct replay_anchor follows; /* where the log ended that this one replaced */
};

/* Begins with an empty log; clears `state`. */
void replay_reader_begin(struct replay_reader *reader, struct replay_state *state);

/* Takes the next record. Returns NULL, or what is wrong: a sentence that lives for ever. */
const char *replay_reader_take(struct replay_reader *reader,
                               const uint8_t bytes[REPLAY_RECORD_SIZE]);

enum replay_verdict {
    REPLAY_AT_ANCHOR,
    REPLAY_AHEAD,   /* as a crash leaves it: the anchor is to be brought up to the log */
    REPLAY_CUT,     /* fewer records than the log began with */
    REPLAY_OLDER,   /* than its anchor */
    REPLAY_FOREIGN, /* log and anchor do not belong together */
};

/* Compares the log with its anchor. */
enum replay_verdict replay_reader_settle(const struct replay_reader *reader,
                                         const struct replay_anchors *anchors);

/* Whether this is the log of a store that is new and empty. */
bool replay_reader_is_new(const struct replay_reader *reader);

#endif

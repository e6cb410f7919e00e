/*
 * The replay store: a command runs at most once, whatever happens to the vault, the machine's power
 * or its clock. What it keeps and how is in docs/replay-store.md.
 *
 * Whatever is told here with 0 is durable. A store that is missing, damaged, older than it was or
 * not the one that was opened is not usable until an administrator resets it: everything that would
 * be written is refused, and replay_store_trouble() says why. One that could not be read or written
 * (a full or failing disk) is opened anew after a while.
 *
 * Times are handed in: `now_ms` monotonic, `unix_ms` of the calendar. One thread at a time.
 */
#ifndef CLOISTER_VAULT_REPLAY_STORE_H
#define CLOISTER_VAULT_REPLAY_STORE_H

#include "ration.h"
#include "replay_file.h"

#define REPLAY_TROUBLE_SIZE 160

/* The time is written down when it is so far beyond what was written: when a token came; or else.
 */
#define REPLAY_TIME_STEP_MS UINT64_C(60000)
#define REPLAY_TIME_IDLE_MS UINT64_C(3600000)

enum replay_store_state {
    REPLAY_STORE_CLOSED, /* not opened yet, or it could not be read or written: tried again */
    REPLAY_STORE_READY,
    REPLAY_STORE_LOST, /* until replay_store_reset() */
};

struct replay_store {
    int folder;
    enum replay_store_state state;
    char trouble[REPLAY_TROUBLE_SIZE];
    bool
        loaded; /* `replay` is what this process has read and written, whatever the files are now */
    struct replay_state *replay;
    struct replay_file file;
    struct ration retries;
    uint64_t rewrite_at; /* records */
    uint64_t seen_ms;    /* the latest time that was seen; written down or not */
};

/* Takes memory. `folder` stays the caller's. Returns 0 or -ENOMEM. */
int replay_store_begin(struct replay_store *store, int folder, uint64_t now_ms);

/* Closes and frees. */
void replay_store_end(struct replay_store *store);

/*
 * Opens the store. If there is none, and no trace of a machine key either, this is a fresh
 * installation and a new one is made: so it must be called before the key is made.
 */
void replay_store_open(struct replay_store *store, uint64_t unix_ms);

/*
 * Whether the machine's key must not be made yet, since the store of a fresh installation could not
 * be: a key without a store would look like one that was lost.
 */
bool replay_store_comes_first(const struct replay_store *store);

/* Opens it again if it could not be read or written, at most every 5 s. */
void replay_store_retry(struct replay_store *store, uint64_t now_ms, uint64_t unix_ms);

bool replay_store_usable(const struct replay_store *store);

/* "" if it is usable, else why it is not. */
const char *replay_store_trouble(const struct replay_store *store);

/* What is known: valid while loaded, even if the files have been lost meanwhile. */
const struct replay_state *replay_store_known(const struct replay_store *store);

/*
 * Whether the clock is right, as far as can be known: false if it is more than two minutes behind
 * the latest time that was seen. Otherwise that is raised; it is written down now if it is more
 * than `step_ms` beyond what was written.
 */
bool replay_store_clock(struct replay_store *store, uint64_t unix_ms, uint64_t step_ms);

/* Forgets ids that have expired, and the oldest receipt if a week old, where space is needed. */
void replay_store_make_room(struct replay_store *store, uint64_t unix_ms);

/*
 * Writes down that a command was accepted: exp, summary, and of the receipt token, kid, claims.
 * replay_state_admit() must have said REPLAY_NEW. Returns 0 or -errno; then it may not be run.
 */
int replay_store_accept(struct replay_store *store, const struct replay_command *command,
                        uint64_t unix_ms);

/* Writes down that it is handed to its runner. Returns 0 or -errno; then it may not be. */
int replay_store_start(struct replay_store *store, const uint8_t token[ORDER_TOKEN_SIZE],
                       uint64_t unix_ms);

/* Writes down what became of it: the receipt's decision, reason, result and times. 0 or -errno. */
int replay_store_finish(struct replay_store *store, const struct receipt *receipt,
                        uint64_t unix_ms);

/* The console has its receipt. 0 (also if there is none to deliver) or -errno. */
int replay_store_deliver(struct replay_store *store, const uint8_t token[ORDER_TOKEN_SIZE],
                         uint64_t unix_ms);

/* Retires a key for good. 0 or -errno: -ENOSPC if there are too many. */
int replay_store_revoke(struct replay_store *store, const char *kid, uint64_t unix_ms);

/*
 * Makes a new store in place of this one, which is set aside. Revocations and the highest sequence
 * numbers are carried over where they can be read, and all else too if this process has read it
 * while it was good. Commands whose
 * validity began before now are refused from then on. Returns 0 or -errno.
 */
int replay_store_reset(struct replay_store *store, uint64_t unix_ms);

#endif

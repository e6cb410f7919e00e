/*
 * What the records of the replay store amount to: which keys have signed how far and which are
 * revoked, which commands were accepted, and how each of them stands.
 *
 * Records are applied one after the other. One that contradicts those before it (a command that
 * ends twice, a sequence number that falls) is refused with a sentence and changes nothing.
 *
 * Memory only, no files. One thread at a time.
 */
#ifndef CLOISTER_VAULT_REPLAY_STATE_H
#define CLOISTER_VAULT_REPLAY_STATE_H

#include "replay_record.h"

#define REPLAY_KEYS_MAX     64    /* keys that ever signed here or were revoked; never pruned */
#define REPLAY_IDS_HELD_MAX 32768 /* ids that have not expired yet */
#define REPLAY_WAITING_MAX  1024  /* receipts that wait to be delivered */
#define REPLAY_RECENT_MAX   16

/* A set clock may lie so far behind the latest time that was seen. */
#define REPLAY_CLOCK_SLACK_MS UINT64_C(120000)

struct replay_state {
    struct replay_begin begin;
    uint64_t high_water_ms; /* the latest time that any record carries */
    size_t key_count;
    struct replay_key keys[REPLAY_KEYS_MAX];
    size_t id_count;
    struct replay_id *ids;           /* REPLAY_IDS_HELD_MAX */
    size_t command_count;            /* not delivered yet, oldest first */
    struct replay_command *commands; /* REPLAY_WAITING_MAX + 1 */
    size_t recent_count;             /* accepted last, newest first, delivered or not */
    struct replay_command recent[REPLAY_RECENT_MAX];
};

/* Returns 0 or -ENOMEM. */
int replay_state_new(struct replay_state **out);
struct replay_state *replay_state_free(struct replay_state *state);

/* Forgets everything. */
void replay_state_clear(struct replay_state *state);

/*
 * Whether the next record would be applied: NULL, or what is wrong with it, a sentence that lives
 * for ever. Changes nothing.
 */
const char *replay_state_check(const struct replay_state *state,
                               const struct replay_record *record);

/*
 * Applies the next record of a file. Returns NULL, or what is wrong with it: a sentence that lives
 * for ever.
 */
const char *replay_state_apply(struct replay_state *state, const struct replay_record *record);

/* The key's row, or NULL if it was never heard of. Valid until the state changes. */
const struct replay_key *replay_state_key(const struct replay_state *state, const char *kid);

/* The command by its token, or by its signer's words, or NULL. Valid until the state changes. */
const struct replay_command *replay_state_find(const struct replay_state *state,
                                               const uint8_t token[ORDER_TOKEN_SIZE]);
const struct replay_command *replay_state_find_id(const struct replay_state *state, const char *kid,
                                                  const uint8_t jti[RECEIPT_JTI_SIZE],
                                                  uint64_t seq);

enum replay_admission {
    REPLAY_NEW = 0,
    REPLAY_EPOCH,    /* from before the store was made */
    REPLAY_REPLAYED, /* the jti or the sequence number was accepted before */
    REPLAY_SEQUENCE, /* not above the highest */
    REPLAY_FULL,     /* a bound of this store is reached: no command can be taken now */
};

/* Whether a command with these words may be accepted. `nbf` is in seconds. Changes nothing. */
enum replay_admission replay_state_admit(const struct replay_state *state,
                                         const struct receipt *receipt, uint64_t nbf);

/* Forgets the ids that have expired for good. */
void replay_state_prune(struct replay_state *state);

/* How many receipts wait to be delivered. */
size_t replay_state_waiting(const struct replay_state *state);

/*
 * Calls `emit` with the records (kind, time_ms and the kind's own members are filled) that make up
 * this state, REPLAY_BEGIN first with `records` set. Of the ids those that have expired are left
 * out.
 */
void replay_state_snapshot(struct replay_state *state,
                           void (*emit)(void *context, struct replay_record *record),
                           void *context);

#endif

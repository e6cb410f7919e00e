/*
 * Commands in the database: tokens that were pushed, for which machine, and what became of each.
 * What they wrote is in files (output_file.h).
 *
 *   queued -> sent -> running -> done     a receipt is stored
 *     ^        |  \-> refused             the machine did not accept it
 *     |        |  \-> done                it was a list of revoked keys, which was taken
 *     +--------+                          the machine never heard of it
 *
 * Functions take the store of their thread; -errno means that nothing changed. Those that say
 * "within a transaction" leave it to the caller.
 */
#ifndef CONSOLE_QUEUE_H
#define CONSOLE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "message.h"
#include "output_file.h"
#include "store.h"

#define QUEUE_TOKEN_MAX 262144

enum queue_outcome {
    QUEUE_UNKNOWN = 1,
    QUEUE_AMBIGUOUS, /* several machines have a command of this token */
    QUEUE_KNOWN,     /* this machine has, or had, a command of this token */
};

enum queue_state {
    QUEUE_QUEUED,
    QUEUE_SENT,
    QUEUE_RUNNING,
    QUEUE_REFUSED,
    QUEUE_DONE,
};

struct queue_item {
    int64_t row; /* names the file; ascending in the order of pushing */
    uint8_t machine[32], token[16];
    enum queue_state state;
    char reason[33]; /* of the decision */
    bool has_receipt;
    char held[17]; /* why it rests: "quota", "output"; "" if it does not */
    uint64_t held_time_ms;
    char wrong_receipt[17]; /* why one was refused (receipt.h), "" if none was */
    uint64_t pushed_time_ms, sent_time_ms, decided_time_ms, ended_time_ms; /* 0: not yet */
    struct output_place place; /* of what is certainly stored; the file may hold more */
    char machine_name[65];     /* hostile until escaped */
};

/* The word for a state, as the tables show it. */
const char *queue_state_word(enum queue_state state);

/* Whether nothing more will come of a command. */
bool queue_finished(enum queue_state state);

/* The id of a token: the first 16 bytes of its SHA-256. False if OpenSSL fails. */
bool queue_token_id(uint8_t id[16], const char *token, size_t length);

/*
 * Within a transaction: queues a token (1 to QUEUE_TOKEN_MAX bytes, of this id) for `machine`,
 * behind what is queued. A token that the machine has had is queued only if `again` and what became
 * of it is known. 0, QUEUE_KNOWN, or -errno.
 */
int queue_push(struct store *store, const uint8_t machine[32], const uint8_t id[16],
               const char *token, size_t length, bool again, uint64_t now_ms);

/*
 * Reads up to `capacity` commands of `machine`, oldest first, into `items`: those that are queued
 * or, with `under_way`, those that are sent or running. 0 with their number in `count`, or -errno.
 */
int queue_waiting(struct store *store, const uint8_t machine[32], bool under_way,
                  struct queue_item *items, unsigned capacity, unsigned *count);

/* Reads a token of at most QUEUE_TOKEN_MAX bytes to `out`. 0, QUEUE_UNKNOWN, or -errno. */
int queue_token(struct store *store, const uint8_t id[16], char *out, size_t *length);

/* The receipt of a command, terminated, at most MESSAGE_RECEIPT_MAX bytes. 0, QUEUE_UNKNOWN (there
 * is none), or -errno. */
int queue_receipt(struct store *store, int64_t row, char out[MESSAGE_RECEIPT_MAX + 1]);

/* What became of a command. Each returns 0, QUEUE_UNKNOWN (it is not in the state for that), or
 * -errno. queue_sent may be called within a transaction or without. */
int queue_sent(struct store *store, int64_t row, uint64_t now_ms);
int queue_unsent(struct store *store, int64_t row);
int queue_running(struct store *store, int64_t row, uint64_t now_ms);
int queue_taken(struct store *store, int64_t row, uint64_t now_ms);
/* `receipt` may be "". */
int queue_refused(struct store *store, int64_t row, const char *reason, const char *receipt,
                  uint64_t now_ms);
int queue_done(struct store *store, int64_t row, const char *receipt,
               const struct output_place *place, uint64_t now_ms);

/* Notes where a command's output ends, durably. 0 or -errno. */
int queue_progress(struct store *store, int64_t row, const struct output_place *place);

/* Notes why a command rests; sending it or hearing of it clears that. 0 or -errno. */
int queue_hold(struct store *store, int64_t row, const char *why, uint64_t now_ms);

/* Notes that a receipt for it was refused. 0 or -errno. */
int queue_wrong_receipt(struct store *store, int64_t row, const char *why);

/* Sum of the noted ends of all output of `machine`. 0 or -errno. */
int queue_stored(struct store *store, const uint8_t machine[32], uint64_t *bytes);

/* Calls `row` for every command, of `machine` or with NULL of all, in the order of pushing, until
 * it returns non-zero. 0 or -errno. */
int queue_each(struct store *store, const uint8_t *machine,
               int (*row)(void *context, const struct queue_item *item), void *context);

/* Reads one command. 0, QUEUE_UNKNOWN, or -errno. */
int queue_get(struct store *store, int64_t row, struct queue_item *out);

/*
 * Reads the command whose token id begins with `text` (8 to 32 hexadecimal digits), of `machine` or
 * with NULL of the only machine that has one. Of several of the same token and machine it is the
 * last that was not refused, else the last. 0, QUEUE_UNKNOWN, QUEUE_AMBIGUOUS, or -errno.
 */
int queue_find(struct store *store, const char *text, const uint8_t *machine,
               struct queue_item *out);

/*
 * The oldest command that ended, or was pushed to a machine that is not connected now, before
 * `before_ms`. 0, QUEUE_UNKNOWN, or -errno.
 */
int queue_expired(struct store *store, uint64_t before_ms, int64_t *row);

/*
 * Deletes a command, and its token if it was the last of it. With `idle` only if it is finished,
 * queued, or of a machine that is not approved. 0, QUEUE_UNKNOWN, or -errno.
 */
int queue_delete(struct store *store, int64_t row, bool idle);

#endif

/*
 * One record of the replay store's log, as bytes and as a structure. docs/replay-store.md describes
 * the bytes.
 *
 * Every record is REPLAY_RECORD_SIZE bytes, carries the digest of the record before it and ends in
 * its own, so that a record which was changed, cut, moved or left out is found. The digest is
 * BLAKE2b-256 (RFC 7693) and takes no key: whoever may write the folder may forge a whole log.
 *
 * Pure functions; any thread. libsodium must have been initialised.
 */
#ifndef CLOISTER_VAULT_REPLAY_RECORD_H
#define CLOISTER_VAULT_REPLAY_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cloister.pb.h"
#include "receipt.h"

#define REPLAY_RECORD_SIZE  512
#define REPLAY_DIGEST_SIZE  32
#define REPLAY_STORE_ID     16
#define REPLAY_SUMMARY_SIZE 96
#define REPLAY_IDS_MAX      10 /* in one record */

enum replay_kind {
    REPLAY_BEGIN = 1, /* the first record of a file, and only that */
    REPLAY_KEY,       /* a signer's key: its highest sequence number, whether it is revoked */
    REPLAY_IDS,       /* commands that were accepted, and of which no more is kept */
    REPLAY_ACCEPTED,
    REPLAY_STARTED,
    REPLAY_ENDED,
    REPLAY_DELIVERED, /* the console has the receipt */
    REPLAY_TIME,      /* it was that late; nothing else */
};

/* What a file begins with. The first `records` records, this one included, say together what was
 * known when the file was made. */
struct replay_begin {
    uint8_t store[REPLAY_STORE_ID]; /* random, made with the store */
    uint64_t epoch_ms;              /* when the store was made, unix time */
    uint64_t records;
    uint64_t follows; /* records of the file that this one replaced; 0 for a new store */
};

struct replay_key {
    char kid[COMMAND_KID_MAX + 1];
    uint64_t highest; /* 0: no command of its was accepted */
    bool revoked;
};

struct replay_id {
    uint8_t jti[RECEIPT_JTI_SIZE];
    uint64_t seq;
    uint64_t exp; /* seconds since 1970 */
    uint32_t key; /* number of the REPLAY_KEY record or first REPLAY_ACCEPTED that named it */
};

struct replay_ids {
    uint32_t count; /* 1 to REPLAY_IDS_MAX */
    struct replay_id list[REPLAY_IDS_MAX];
};

/*
 * A command that was accepted. The receipt is filled as far as the command has come:
 *   REPLAY_ACCEPTED  token, kid, claims, accepted_ms
 *   REPLAY_STARTED   token, started_ms
 *   REPLAY_ENDED     token, decision (not RECEIPT_REFUSED), reason, the result, the times
 */
struct replay_command {
    ipc_CommandPhase phase; /* not in the bytes: the record's kind says it */
    uint64_t exp;           /* seconds since 1970 */
    char summary[REPLAY_SUMMARY_SIZE];
    struct receipt receipt;
};

struct replay_record {
    enum replay_kind kind;
    uint64_t generation; /* of the file, from 1: it is written anew now and then */
    uint64_t index;      /* in the file, from 0 */
    uint64_t time_ms;    /* unix time when it was written */
    uint8_t previous[REPLAY_DIGEST_SIZE];
    union {
        struct replay_begin begin;
        struct replay_key key;
        struct replay_ids ids;
        struct replay_command command;
        uint8_t token[ORDER_TOKEN_SIZE]; /* REPLAY_DELIVERED */
    };
};

/* Writes a record whose members are in range, and its digest to `digest` too. */
void replay_record_encode(uint8_t out[REPLAY_RECORD_SIZE], uint8_t digest[REPLAY_DIGEST_SIZE],
                          const struct replay_record *record);

/* Computes the digest of a record from the bytes before it. */
void replay_record_digest(uint8_t digest[REPLAY_DIGEST_SIZE],
                          const uint8_t bytes[REPLAY_RECORD_SIZE]);

/*
 * Reads a record. Returns true; false where the digest is wrong, a number out of range, a name of
 * other characters than its kind has, or a byte that has no meaning not zero.
 */
bool replay_record_decode(struct replay_record *out, const uint8_t bytes[REPLAY_RECORD_SIZE]);

#endif

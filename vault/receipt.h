/*
 * Receipts: what the machine says, under its own key, of what became of a token.
 *
 * A receipt is a compact JWS (RFC 7515, RFC 8037: Ed25519) as docs/commands.md describes it. It is
 * written here from typed fields in one fixed order, so that the same fields give the same bytes;
 * signer.c signs it and nothing else makes one. What is signed begins with the base64url of
 * {"alg":"EdDSA",... , as nothing else that the machine's key signs does.
 *
 * Pure functions; any thread.
 */
#ifndef CLOISTER_VAULT_RECEIPT_H
#define CLOISTER_VAULT_RECEIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cloister.pb.h"
#include "command_keys.h"
#include "machine_id.h"
#include "order.h"

#define RECEIPT_JTI_SIZE    16
#define RECEIPT_REASON_SIZE 24 /* terminator included; the longest word is "countersignature" */

/* The longest receipt, and the longest part of it that is signed. */
#define RECEIPT_MAX         2560
#define RECEIPT_MESSAGE_MAX (RECEIPT_MAX - 88)

enum receipt_decision {
    RECEIPT_RUN = 1,
    RECEIPT_REFUSED,
    RECEIPT_NOT_RUN,
    RECEIPT_UNKNOWN, /* it was started, and what became of it is not known */
};

struct receipt_stream {
    uint64_t bytes;
    uint64_t dropped;
    uint8_t sha256[32];
};

struct receipt {
    uint8_t token[ORDER_TOKEN_SIZE];
    char kid[COMMAND_KID_MAX + 1];
    bool has_claims; /* the four that follow; false where the payload could not be read */
    uint8_t jti[RECEIPT_JTI_SIZE];
    uint64_t seq;
    ipc_CommandProfile profile;
    enum receipt_decision decision;
    char reason[RECEIPT_REASON_SIZE]; /* a word of order/words.h; "" for RECEIPT_RUN */
    /* RECEIPT_RUN alone */
    ipc_CommandEnd end; /* not END_LOST */
    uint32_t code;
    ipc_CommandLimit limit;
    struct receipt_stream out, err;
    /* unix times in milliseconds; 0: it did not come so far */
    uint64_t accepted_ms, started_ms, ended_ms;
};

/*
 * Writes what is to be signed, header "." payload, to `out`. `machine` is the id of the key that
 * will sign. Returns its length; 0 if `receipt` is not one that could be: a number out of range, a
 * kid or a reason with characters that no kid and no word has.
 */
size_t receipt_message(char out[RECEIPT_MESSAGE_MAX], const struct receipt *receipt,
                       const uint8_t machine[MACHINE_ID_SIZE]);

/*
 * Appends "." and the signature to the `length` bytes of message in `out`. Returns the length of
 * the receipt, which is not terminated.
 */
size_t receipt_seal(char out[RECEIPT_MAX], size_t length, const uint8_t signature[64]);

/* Whether a result as a runner tells it can be: the end and its code, the limit, the streams. */
bool receipt_result_is_valid(const struct receipt *receipt);

/* "run", "refused", "not_run", "unknown"; "" for anything else. */
const char *receipt_decision_word(enum receipt_decision decision);

#endif

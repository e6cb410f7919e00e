/*
 * Receipts: what a machine signs about a command (docs/commands.md, "Receipts"). Reads hostile
 * input. Pure functions; callable from any thread once sodium_init() has returned.
 */
#ifndef CONSOLE_RECEIPT_H
#define CONSOLE_RECEIPT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

enum receipt_outcome {
    RECEIPT_MALFORMED = 1, /* not three parts of canonical base64url */
    RECEIPT_HEADER,        /* not that of a receipt by this machine */
    RECEIPT_SIGNATURE,
    RECEIPT_PAYLOAD, /* signed, but not as docs/commands.md says */
    RECEIPT_MACHINE, /* about another machine */
    RECEIPT_TOKEN,   /* about another token */
};

enum receipt_decision {
    RECEIPT_RUN,
    RECEIPT_REFUSED,
    RECEIPT_NOT_RUN,
    RECEIPT_UNKNOWN,
};

enum receipt_end {
    RECEIPT_NO_END, /* it did not run */
    RECEIPT_EXIT,
    RECEIPT_SIGNAL,
    RECEIPT_ERRNO,
};

struct receipt_stream {
    uint64_t bytes, dropped;
    uint8_t sha256[32];
};

struct receipt {
    enum receipt_decision decision;
    char reason[33]; /* a word, or "" */
    enum receipt_end end;
    int value;                                  /* of `end` */
    char limit[17];                             /* "", "time", "output" */
    struct receipt_stream stream[2];            /* RECEIPT_RUN: standard output, standard error */
    uint64_t accepted_ms, started_ms, ended_ms; /* 0: it did not come so far */
};

/*
 * Checks a receipt (terminated, at most MESSAGE_RECEIPT_MAX bytes) of the machine with this id and
 * key about this token, in the order of enum receipt_outcome, and reads it to `out` (undefined
 * unless 0 is returned). 0, a receipt_outcome, or -ENOMEM.
 */
int receipt_check(struct receipt *out, const char *text, const uint8_t machine[32],
                  const uint8_t public_key[32], const uint8_t token[16]);

/* The word for an outcome: "signature" and so on. */
const char *receipt_outcome_word(int outcome);

/* The word of `decision`. */
const char *receipt_decision_word(enum receipt_decision decision);

/* What became of the command, for people: "exit 0", "signal 9 (time limit)", "not run:
 * policy_profile". Printable ASCII. Returns out. */
const char *receipt_describe(char *out, size_t capacity, const struct receipt *r);

#endif

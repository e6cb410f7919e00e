/*
 * Requests that the broker has passed on and that are not yet answered.
 *
 * The broker gives each a number of its own, so that no peer can answer a request that it was not
 * sent, and sends the answer back under the asker's number. An entry outlives its asker and its
 * deadline: the late answer of an honest worker must not look like a forged one.
 *
 * Peers are named by their index in the broker's table and a serial number that is never reused.
 * Pure; one thread.
 */
#ifndef CLOISTER_REQUESTS_H
#define CLOISTER_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUESTS_MAX          512
#define REQUESTS_PER_ASKER    32  /* a peer with more outstanding floods */
#define REQUESTS_PER_ANSWERER 128 /* more are not passed on to one peer */
#define REQUESTS_OVERDUE_MAX  16  /* a peer that owes so many past their time hangs */

/* Serial number 0 is nobody; the broker itself asks as REQUESTS_BROKER. */
#define REQUESTS_BROKER UINT64_MAX

struct request {
    uint32_t number; /* the broker's, on the answerer's channel; 0: free entry */
    uint16_t type;
    bool timed_out; /* the asker has been told so */
    uint64_t asker; /* serial; 0: gone, the answer will be dropped */
    uint32_t asker_number;
    uint64_t answerer; /* serial */
    uint64_t deadline_ms;
};

struct requests {
    uint32_t last;
    size_t count;
    struct request entries[REQUESTS_MAX];
};

enum requests_outcome {
    REQUESTS_OK = 0,
    REQUESTS_DUPLICATE, /* the asker has one outstanding under that number */
    REQUESTS_FLOOD,     /* the asker has too many outstanding */
    REQUESTS_BUSY,      /* the answerer owes too many, or the table is full */
};

/* Notes a request; `*number` is what the answerer will see. */
enum requests_outcome requests_add(struct requests *requests, uint64_t asker, uint32_t asker_number,
                                   uint64_t answerer, uint16_t type, uint64_t deadline_ms,
                                   uint32_t *number);

/* Finds what `answerer` answers under `number`, or NULL. */
struct request *requests_find(struct requests *requests, uint64_t answerer, uint32_t number);

void requests_remove(struct requests *requests, struct request *request);

/* The asker is gone: its entries stay for the answers, which nobody will get. */
void requests_drop_asker(struct requests *requests, uint64_t asker);

/* The next request that `answerer` owes, to be refused and removed now that it is gone; or NULL. */
struct request *requests_owed_by(struct requests *requests, uint64_t answerer);

/* The next request whose asker waits and whose deadline has passed, or NULL. */
struct request *requests_overdue(struct requests *requests, uint64_t now_ms);

/*
 * A peer that owes REQUESTS_OVERDUE_MAX answers whose time is over, whether or not anybody still
 * waits for them; its serial, or 0.
 */
uint64_t requests_hung_answerer(const struct requests *requests, uint64_t now_ms);

/* The earliest deadline that somebody waits for, or UINT64_MAX. */
uint64_t requests_next_deadline(const struct requests *requests);

#endif

/*
 * Getting the frames from capture: key agreement, the listing, then record after record, each
 * sealed to this ticket (frame/seal.h) so that nobody between can read it.
 *
 * A state machine without a loop of its own: give it every answer, and time. One request is under
 * way at a time, since the seal counts messages. One thread.
 */
#ifndef CLOISTER_FETCH_H
#define CLOISTER_FETCH_H

#include "agent.h"
#include "pipeline.h"
#include "review.h"

enum fetch_state {
    FETCH_AGREEING,
    FETCH_LISTING,
    FETCH_RECORDS, /* the listing is complete: the review can begin */
    FETCH_DONE,
    FETCH_ENDED, /* no more will come; fetch_why says why; frames without record are lost */
};

struct fetch;

/* Begins with the key agreement. All three outlive it. Returns 0, AGENT_LOST or -errno. */
int fetch_new(struct fetch **out, struct agent *agent, struct review *review,
              struct pipeline *pipeline);

/* Wipes the keys. NULL is allowed. Returns NULL. */
struct fetch *fetch_free(struct fetch *fetch);

/*
 * Offers an answer. Returns true if it was meant for this module. Failures end up in the state.
 */
bool fetch_message(struct fetch *fetch, const struct message *message);

/*
 * Does what is due at `now_ms` (monotonic). Returns the milliseconds until it wants to be called
 * again, -1 for never.
 */
int fetch_tick(struct fetch *fetch, uint64_t now_ms);

enum fetch_state fetch_state(const struct fetch *fetch);

/* Why it ended, for a person; "" unless FETCH_ENDED. Hostile text. */
const char *fetch_why(const struct fetch *fetch);

#endif

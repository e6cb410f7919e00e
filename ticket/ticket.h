/*
 * One ticket from the door to its number: everything that a face (the terminal, later a window)
 * drives and shows, and nothing of how it is shown.
 *
 * One thread, with a loop of the caller's own: poll what ticket_polls names for at most
 * ticket_timeout, then ticket_turn.
 */
#ifndef CLOISTER_TICKET_H
#define CLOISTER_TICKET_H

#include "agent.h"
#include "chunk_list.h"
#include "fetch.h"
#include "pipeline.h"
#include "review.h"
#include "upload.h"

#define TICKET_POLLS (AGENT_POLLS + 1)

enum ticket_outcome {
    TICKET_NOT_READY = 1, /* frames are still being fetched or encoded */
    TICKET_STALE,         /* something changed since it was sealed: seal again */
    TICKET_NO_RECIPIENTS, /* none are configured, or they are no good */
    TICKET_TOO_LARGE,     /* for the administrator's limit or the wire's */
    TICKET_GONE,          /* the agent ended the ticket, or is gone */
};

struct ticket;

/*
 * Connects to the agent and starts fetching frames. Returns 0; an enum agent_outcome with `no`
 * filled; or -errno.
 */
int ticket_connect(struct ticket **out, const char *folder, struct agent_no *no);

/* Starts the encoding and the fetching. Returns 0, TICKET_GONE or -errno. */
int ticket_start(struct ticket *ticket);

/* Ends the ticket: frames, bundle and keys are wiped. NULL is allowed. Returns NULL. */
struct ticket *ticket_free(struct ticket *ticket);

void ticket_polls(const struct ticket *ticket, struct pollfd polls[TICKET_POLLS]);
/* Milliseconds until ticket_turn is due without any event; -1: never. Call it before each poll. */
int ticket_timeout(struct ticket *ticket);
/* Does what can be done. Returns 0, TICKET_GONE or -ENOMEM. */
int ticket_turn(struct ticket *ticket);

/* Its parts, to look at and to edit. They belong to the ticket. */
struct review *ticket_review(struct ticket *ticket);
struct pipeline *ticket_pipeline(struct ticket *ticket);
const struct agent *ticket_agent(const struct ticket *ticket);

/* Whether the listing is complete (the review may begin), and whether all frames are as they would
 * be sent. */
bool ticket_listed(const struct ticket *ticket);
bool ticket_ready(const struct ticket *ticket);
/* Why there are no frames, or not all; "" if there is nothing to say. Hostile text. */
const char *ticket_frames_why(const struct ticket *ticket);

/*
 * Seals the review as it stands. Returns 0, TICKET_NOT_READY, TICKET_NO_RECIPIENTS,
 * TICKET_TOO_LARGE or -ENOMEM.
 */
int ticket_seal(struct ticket *ticket);
/* Size of what was sealed last, in bytes; 0 if nothing was. */
uint64_t ticket_sealed_size(const struct ticket *ticket);

/*
 * The user's word: exactly what was sealed last goes to the recipients. Returns 0, TICKET_STALE,
 * TICKET_GONE or -errno.
 */
int ticket_consent(struct ticket *ticket);

/* NULL before consent. Belongs to the ticket. */
const struct upload *ticket_upload(const struct ticket *ticket);

/* Writes the list of frames as JSON. Returns 0 or -ENOMEM. */
int ticket_list_json(const struct ticket *ticket, struct locked_bytes *out);

/* Tells the agent that the user gave up. */
void ticket_cancel(struct ticket *ticket);

#endif

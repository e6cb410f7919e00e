/*
 * The ticket program's connection to the agent: the door, the channel, the welcome, the notices.
 *
 * One thread. Whoever asks keeps the number of its request and recognises the answer by it.
 */
#ifndef CLOISTER_AGENT_H
#define CLOISTER_AGENT_H

#include <poll.h>

#include "channel.h"
#include "cloister.pb.h"

#define AGENT_FOLDER "/run/cloister" /* the default of [agent] runtime */
#define AGENT_POLLS  2

enum agent_outcome {
    AGENT_EMPTY = 1,    /* nothing to receive now */
    AGENT_ABSENT,       /* nobody answers at the door: the agent does not run */
    AGENT_TURNED_AWAY,  /* the door or the broker said no; the words say why */
    AGENT_ALREADY_OPEN, /* another process of this user has a ticket open */
    AGENT_LOST,         /* the broker ended the connection, or is gone */
    AGENT_BROKEN,       /* it sent what it may not: not an agent of this build */
};

/* Why there is no connection, for a person. Hostile text: escape it before showing it. */
struct agent_no {
    char words[192];
    uint32_t pid; /* AGENT_ALREADY_OPEN: who has it */
};

struct agent;

/*
 * Connects to the agent whose runtime folder is `folder`; waits at most 10 s. Returns 0; an
 * agent_outcome with `no` filled; or -errno.
 */
int agent_connect(struct agent **out, const char *folder, struct agent_no *no);

/* Closes channel and door: the ticket ends. NULL is allowed. Returns NULL. */
struct agent *agent_free(struct agent *agent);

/* What the welcome said, and what notices have said since. Belongs to the agent. */
const ipc_TicketConfig *agent_config(const struct agent *agent);

/* Whether the console can take a bundle now. */
bool agent_connected_to_console(const struct agent *agent);

/* Rises with every notice; whether one said that capture forgot its frames. */
uint32_t agent_notices(const struct agent *agent);
bool agent_frames_forgotten(const struct agent *agent);

/* Words for people: how capture and the console connection stand. `out` is terminated. */
void agent_capture_words(const struct agent *agent, char *out, size_t capacity);
void agent_uplink_words(const struct agent *agent, char *out, size_t capacity);

/* Fills in what to poll for; any event means agent_receive. */
void agent_polls(const struct agent *agent, struct pollfd polls[AGENT_POLLS]);

/*
 * Sends a request and gives its number in `request` (never 0). Returns 0, AGENT_LOST or -errno.
 */
int agent_ask(struct agent *agent, uint16_t number, const void *body, const void *blob,
              size_t blob_length, uint32_t *request);

/*
 * Takes the next answer, which the caller gives to message_free; notices are taken in on the way.
 * Returns 0, AGENT_EMPTY, AGENT_LOST or AGENT_BROKEN.
 */
int agent_receive(struct agent *agent, struct message *out);

/* Ends the ticket in so many words (TicketCancel), as far as the broker still listens. */
void agent_cancel(struct agent *agent);

#endif

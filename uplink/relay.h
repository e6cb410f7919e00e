/*
 * Between the broker and the session: turns the broker's messages into calls of client.h, and what
 * the console makes of them into answers and notifications. Main thread.
 */
#ifndef CLOISTER_UPLINK_RELAY_H
#define CLOISTER_UPLINK_RELAY_H

#include "client.h"
#include "facts.h"
#include "worker.h"

/* A ticket program's requests that wait for their answer; 0 where there is none. */
struct relay_ticket {
    uint32_t ticket; /* the broker's number; 0: free */
    uint32_t chunks;
    uint32_t begin, finish;
    uint32_t chunk[UPLOAD_AHEAD_MAX]; /* of chunk i at place i modulo the size */
};

struct relay {
    struct worker *worker;
    struct client *client; /* set by the owner once it exists */
    const struct facts *facts;
    const char *host;   /* of the console, as configured */
    uint32_t challenge; /* our request to the vault */
    uint32_t enroll;    /* the administrator's request */
    struct relay_ticket tickets[UPLOAD_OFFERS_MAX];
    struct {
        uint32_t vault, runner, delivered; /* our requests to these; 0: none is open */
    } commands;
    struct fault fault; /* set when the session must end for a reason on our side */
};

/* The callbacks to give to client_new, with the relay as `user`. */
extern const struct client_callbacks relay_callbacks;

/* Likewise for the session's configuration. */
extern const struct commands_agent relay_agent;

/*
 * Handles one message of the broker. A message that uplink never asked for ends the process. The
 * message stays the caller's.
 */
void relay_message(struct relay *relay, const struct message *message, int64_t now_ms);

/*
 * The part of relay_message that is about signed commands: returns false if `message` is not. Of
 * refusals only those of what this part asked for are its own.
 */
bool relay_command_message(struct relay *relay, const struct message *message, int64_t now_ms);

#endif

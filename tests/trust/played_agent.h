/*
 * A vault and a runner that are played, for the driver: they do what the agent's do as far as
 * uplink sees it, for one command at a time, and keep in a file how it stands, so that the next
 * connection finds it.
 *
 * A token that begins with "refuse" is refused; every other is accepted and "runs": it writes
 * bytes[0] of standard output and bytes[1] of standard error, byte i of a stream being i modulo
 * 251. Its receipt is "played.TOKENID.receipt".
 *
 * Nothing is done while uplink calls; played_agent_turn does what is due. One thread.
 */
#ifndef CLOISTER_PLAYED_AGENT_H
#define CLOISTER_PLAYED_AGENT_H

#include <stdbool.h>

#include "commands.h"

struct played_agent {
    const char *file; /* of one line: token id, "started" or "ended"; absent: nothing is known */
    uint32_t bytes[OUTPUT_STREAMS];

    uint8_t token[WIRE_TOKEN_SIZE];
    enum commands_state state;
    uint32_t next[OUTPUT_STREAMS]; /* chunks that are to be handed in next */
    uint32_t under_way, last_request;
    bool sending;
    /* What uplink asked for and was not told yet. */
    bool offered, queried, resumed, delivered;
    bool refuses, forget;           /* the token that was offered; the one that was delivered */
    uint8_t asked[WIRE_TOKEN_SIZE]; /* about which token */
    uint32_t resume_next[OUTPUT_STREAMS];
};

extern const struct commands_agent played_agent_hooks;

/* Reads the file, if there is one. */
void played_agent_load(struct played_agent *agent);

/* Does what is due; returns whether that was anything. */
bool played_agent_turn(struct played_agent *agent, struct commands *commands, int64_t now_ms);

#endif

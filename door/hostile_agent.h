/*
 * For the fuzzers of the door's clients: an agent whose every word comes from the fuzzer's input,
 * behind a real door and on a real channel.
 *
 * The input: a byte that says how the door answers (even: with the endpoint; odd: with all that
 * follows), then batches of messages. One batch is sent for each message of the client, and then a
 * genuine Refused, so that the client never waits in vain. A message: a byte of flags (1: under the
 * number that the client just asked with; 2: the last of its batch), its length in two bytes, its
 * bytes.
 */
#ifndef CLOISTER_HOSTILE_AGENT_H
#define CLOISTER_HOSTILE_AGENT_H

#include <stdint.h>
#include <stddef.h>

#include "ipc_types.h"

/*
 * The runtime folder to give to the client; made at the first call, removed at exit. The door in it
 * is called `name` and answers `peer`.
 */
const char *hostile_agent_folder(const char *name, enum ipc_peer peer);

/* Answers one client with these bytes, in a thread of its own. */
void hostile_agent_start(const uint8_t *data, size_t size);

/* Waits until the client has left and the agent has cleared up; the client must be gone before. */
void hostile_agent_stop(void);

#endif

/*
 * The schema's enumerations, as a word for programs and a sentence for people.
 *
 * Pure functions over constant tables; any thread. A number that this build does not know gets
 * {"unknown", ...}, never NULL: it comes from another process.
 */
#ifndef CLOISTER_TOOLS_WORDS_H
#define CLOISTER_TOOLS_WORDS_H

#include "cloister.pb.h"

struct words {
    const char *word;     /* for JSON: lower case and '_'. Part of the interface: never changes */
    const char *sentence; /* for people: no capital in front, no full stop; may end a line */
    const char *advice;   /* what to do about it; NULL if there is nothing to do */
};

const struct words *words_worker_state(ipc_WorkerState state);
const struct words *words_capture_phase(ipc_CapturePhase phase);
const struct words *words_uplink_phase(ipc_UplinkPhase phase);
const struct words *words_uplink_reason(ipc_UplinkReason reason);
const struct words *words_key_origin(ipc_KeyOrigin origin);
const struct words *words_refusal(ipc_RefusalReason reason);
const struct words *words_command_profile(ipc_CommandProfile profile);
const struct words *words_command_phase(ipc_CommandPhase phase);
const struct words *words_decision(ipc_Decision decision); /* words of docs/commands.md */

#endif

/*
 * The words of docs/commands.md and docs/wire.md: what became of a token, for whom, and why a
 * command that was accepted did not run or cannot be told of. The same in receipts, on the wire, in
 * logs and in the command line's output.
 *
 * Pure functions over constant tables; the texts live for ever. Any thread.
 */
#ifndef CLOISTER_ORDER_WORDS_H
#define CLOISTER_ORDER_WORDS_H

#include <stdbool.h>

#include "cloister.pb.h"

/* "accepted", "not_yet_valid", ...; "unspecified" for a number that is no decision. */
const char *decision_word(ipc_Decision decision);

/*
 * Whether a token of which this was decided was authentic: its payload was read and its key is in
 * good standing, so that the decision is worth a signed receipt.
 */
bool decision_is_authentic(ipc_Decision decision);

/* "diagnostic", "user", "admin"; "none" for anything else. */
const char *profile_word(ipc_CommandProfile profile);

/* Whether `word` is one of the reasons that a receipt may give for `not_run`, or for `unknown`. */
bool not_run_word(const char *word);
bool unknown_word(const char *word);

#endif

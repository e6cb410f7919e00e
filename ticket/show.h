/*
 * The ticket in lines of text. Every text that came from elsewhere (titles, the agent's words) is
 * escaped (log_escape) before it is printed. Main thread.
 */
#ifndef CLOISTER_SHOW_H
#define CLOISTER_SHOW_H

#include "ticket.h"

/* Prints to standard output with what log_escape makes of `text` in place of each %s. */
void show_escaped(const char *format, const char *text);

/* Where it would go, to whom, how capture and the connection stand, who consents. */
void show_head(struct ticket *ticket);

/* The frames, one a line, and their sums. */
void show_frames(struct ticket *ticket);
void show_totals(struct ticket *ticket);

/* What exactly is consented to: size, destination, recipients. After ticket_seal. */
void show_consent(struct ticket *ticket);

/* A number of bytes as "12.3 MB". */
void show_size(char out[16], uint64_t bytes);

/* Why ticket_turn failed with `outcome`, on standard error; returns the exit code for it. */
int show_turn_failure(const struct ticket *ticket, int outcome);

/* What to say behind "failed" or "abandoned": "", or that the help desk may have it all the same.
 */
const char *show_may_have_arrived(const struct ticket *ticket);

/* Why the agent could not be reached, on standard error; returns the exit code for it. */
int show_no_agent(int outcome, const struct agent_no *no);

#endif

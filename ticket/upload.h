/*
 * From consent to ticket number: tells the broker what the user consented to, hands the chunks over
 * one after the other, and waits until the console has the whole bundle.
 *
 * When the connection to the console is lost the bundle is kept, and goes on from where the console
 * says it stopped. A state machine without a loop of its own, as fetch.h. One thread.
 */
#ifndef CLOISTER_UPLOAD_H
#define CLOISTER_UPLOAD_H

#include "agent.h"
#include "chunk_list.h"

enum upload_state {
    UPLOAD_CONSENTING, /* the broker is being told */
    UPLOAD_WAITING,    /* consented; the console is not connected */
    UPLOAD_SENDING,
    UPLOAD_FINISHING, /* all chunks are over; the receipt is awaited */
    UPLOAD_DONE,
    UPLOAD_FAILED, /* upload_why says why */
};

struct upload;

/*
 * Sends the Consent for exactly these chunks. Call it only on the user's word (or the
 * administrator's, where auto-consent is configured). `agent` and `chunks` outlive it. Returns 0,
 * AGENT_LOST or -errno.
 */
int upload_new(struct upload **out, struct agent *agent, const struct chunk_list *chunks);

/* NULL is allowed. Returns NULL. */
struct upload *upload_free(struct upload *upload);

/* Offers an answer. Returns true if it was meant for this module. */
bool upload_message(struct upload *upload, const struct message *message);

/* Does what is due at `now_ms` (monotonic). Returns milliseconds until it wants to be called again
 * (-1: when a message or notice has come). */
int upload_tick(struct upload *upload, uint64_t now_ms);

enum upload_state upload_state(const struct upload *upload);

/* Bytes that the console side has taken. */
uint64_t upload_progress(const struct upload *upload);

/*
 * Whether all of it was once handed over: then the console may have the ticket even if the upload
 * fails or is abandoned, since only its word is missing.
 */
bool upload_may_have_arrived(const struct upload *upload);

/*
 * The ticket number (UPLOAD_DONE); why it failed (UPLOAD_FAILED), why the vault does not sign the
 * consent now (UPLOAD_CONSENTING), or why a console that is connected does not take the ticket now
 * (UPLOAD_WAITING; empty: it is not connected). Hostile text.
 */
const char *upload_number(const struct upload *upload);
const char *upload_why(const struct upload *upload);

#endif

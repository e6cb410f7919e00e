/*
 * What a reviewed ticket looks like inside its bundle:
 *
 *   ticket.json        all that is known, for programs
 *   description.txt    what the user wrote
 *   frames/0001.webp   the kept frames, oldest first, numbered without gaps
 *
 * Nothing of a dropped frame gets in but that it was one. Not thread safe.
 */
#ifndef CLOISTER_DOCUMENT_H
#define CLOISTER_DOCUMENT_H

#include "age_format.h"
#include "chunk_list.h"
#include "review.h"

#define DOCUMENT_TICKET_BYTES 16

enum document_outcome {
    DOCUMENT_NOT_READY = 1, /* frames are still being encoded */
};

/* What ticket.json says beside the review. The texts belong to the caller. */
struct document_facts {
    uint8_t ticket[DOCUMENT_TICKET_BYTES];
    uint64_t opened_time_ms, sealed_time_ms; /* unix time */
    bool auto_consent;
    const char *capture_state; /* "capturing", "paused", ... */
    uint64_t max_bytes;        /* of the sealed bundle */
};

/*
 * Seals the review as it stands and marks it as sealed. Returns 0 with the bundle in `out`, the
 * caller's to free; DOCUMENT_NOT_READY; -EFBIG; -EINVAL (recipients); -ENOMEM.
 */
int document_seal(struct chunk_list **out, struct review *review,
                  const struct document_facts *facts, const struct age_recipient *recipients,
                  size_t recipient_count);

/* The word for a frame's trigger: "button 1", "return", "keypad enter", "f5". */
void document_trigger(char out[24], const struct frame_info *info);

/* Writes the list of frames as JSON on one line, for scripts. Returns 0 or -ENOMEM. */
int document_list(struct locked_bytes *out, const struct review *review,
                  const struct document_facts *facts);

#endif

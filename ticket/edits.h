/* Applying the edits of the command line to a review whose listing is complete. Pure. */
#ifndef CLOISTER_EDITS_H
#define CLOISTER_EDITS_H

#include "options.h"
#include "review.h"

/*
 * Applies one edit. Returns 0; or 1 with a sentence in `complaint` (escape what it quotes), and the
 * review as it was.
 */
int edits_apply(struct review *review, const struct option_edit *edit, char *complaint,
                size_t capacity);

/* Whether a value of an option names frames by id ("id:...") and not by number. Pure. */
bool edits_name_ids(const char *value);

/*
 * Drops the frames that were captured after the one named `id` ("17@1763807000123", with or without
 * "id:" before it), whatever was said of them. Returns 0; or 1 with a sentence in `complaint`, of
 * `capacity` bytes, when there is no such frame.
 */
int edits_until(struct review *review, const char *id, char *complaint, size_t capacity);

#endif

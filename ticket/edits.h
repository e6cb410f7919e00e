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

#endif

/*
 * Names of frames that mean the same frame in every run of the program: "17@1763807000123", the
 * number that capture gave it and the time when it was grabbed (unix ms). The number alone begins
 * anew when capture does; a frame's place in the list changes whenever the oldest is forgotten.
 * Pure.
 */
#ifndef CLOISTER_FRAME_ID_H
#define CLOISTER_FRAME_ID_H

#include "review.h"

#define FRAME_ID_BYTES 48

enum frame_id_outcome {
    FRAME_ID_FORM = 1, /* not of that form */
    FRAME_ID_UNKNOWN,  /* there is no such frame, and there was none before the oldest one here */
    FRAME_ID_GONE,     /* older than all frames here: capture has forgotten it */
};

void frame_id_write(char out[FRAME_ID_BYTES], const struct frame_info *info);

/*
 * Finds the frame that the first `length` bytes of `text` name. Returns 0 and its index, or an enum
 * frame_id_outcome.
 */
int frame_id_find(size_t *index, const struct review *review, const char *text, size_t length);

#endif

/*
 * What people and scripts write to name frames and rectangles: "2,5-7", "all", "10,10,200,50",
 * "3:10,10,200,50". Frames are numbered from 1 here.
 *
 * Pure functions; any thread may call them.
 */
#ifndef CLOISTER_SELECTION_H
#define CLOISTER_SELECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "picture.h"

enum selection_outcome {
    SELECTION_FORM = 1, /* not of the form above */
    SELECTION_RANGE,    /* a frame that does not exist, or a range that runs backwards */
};

/*
 * Sets `chosen[i]` for each frame i + 1 that `text` names, of `count` frames; leaves the others.
 * Returns 0 or a selection_outcome (then nothing is set).
 */
int selection_parse(bool *chosen, size_t count, const char *text);

/* "x,y,width,height" in decimal. Returns 0 or SELECTION_FORM. */
int selection_rectangle(struct rectangle *out, const char *text);

/* "frame:x,y,width,height"; `index` counts from 0. Returns 0, SELECTION_FORM or SELECTION_RANGE. */
int selection_redaction(size_t *index, struct rectangle *out, size_t count, const char *text);

/* One frame's number. Returns 0, SELECTION_FORM or SELECTION_RANGE. */
int selection_frame(size_t *index, size_t count, const char *text);

#endif

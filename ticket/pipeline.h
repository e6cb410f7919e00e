/*
 * From capture's records to the images that would be sent, behind the review's back.
 *
 * Records come in the order of the listing, are kept in locked memory until everything is encoded,
 * and are turned into pictures one after the other (frame/canvas.h); a pool of threads encodes
 * those. So a frame can be looked at as soon as its record has come, long before it is encoded.
 * When redactions change, the frame is encoded again from its own lossless image.
 *
 * One thread; pipeline_fd polls readable when pipeline_step has something to do.
 */
#ifndef CLOISTER_PIPELINE_H
#define CLOISTER_PIPELINE_H

#include "review.h"

enum pipeline_outcome {
    PIPELINE_NOT_YET = 1, /* the record has not come */
    PIPELINE_NO_PICTURE,  /* lost, or no such frame */
};

struct pipeline;

/*
 * Serves `review`, which must outlive it, with `threads` threads (0: as many as there are
 * processors). Returns 0 or -errno.
 */
int pipeline_new(struct pipeline **out, struct review *review, unsigned threads);

/* Waits for the encoding under way, drops the rest. NULL is allowed. Returns NULL. */
struct pipeline *pipeline_free(struct pipeline *pipeline);

/*
 * Takes the record of frame `index` over; empties `record`. A record that is damaged, or does not
 * belong to that entry of the listing, loses the frame (and those that build on it).
 */
void pipeline_record(struct pipeline *pipeline, size_t index, struct locked_bytes *record);

/* The record of frame `index` will not come. */
void pipeline_lose(struct pipeline *pipeline, size_t index);

/* Collects what is encoded and submits what can be. Never waits. Returns 0 or -ENOMEM. */
int pipeline_step(struct pipeline *pipeline);

int pipeline_fd(const struct pipeline *pipeline);

/*
 * Makes the picture of frame `index` as it would be sent, redactions applied; the caller owns it.
 * Returns 0, a pipeline_outcome or -ENOMEM.
 */
int pipeline_picture(struct pipeline *pipeline, size_t index, struct picture **out);

#endif

/*
 * The reader's picture: records are applied to it one after the other, a key frame first.
 *
 * Records come from another process and are treated as hostile. The pixels lie in locked memory
 * that is not dumped (sandbox/secret_memory.h); so does the one band that is unpacked at a time.
 *
 * A canvas belongs to one thread at a time.
 */
#ifndef CLOISTER_FRAME_CANVAS_H
#define CLOISTER_FRAME_CANVAS_H

#include <stddef.h>
#include <stdint.h>

#include "record.h"

struct frame_canvas {
    uint64_t id;            /* of the frame that it shows; 0: none, only a key frame fits */
    uint16_t width, height; /* pixels */
    uint8_t *pixels;        /* B, G, R, unused; rows of width * 4 bytes without gaps */
    size_t capacity;        /* bytes mapped at `pixels` */
    uint8_t *band;          /* FRAME_BAND_BYTES */
};

/* Makes an empty canvas. Returns 0 or -errno (-ENOMEM, -EAGAIN, -EPERM: memory cannot be locked).
 */
int frame_canvas_new(struct frame_canvas **out);

/* Wipes and frees it; accepts NULL, returns NULL. */
struct frame_canvas *frame_canvas_free(struct frame_canvas *canvas);

/*
 * Applies one whole record of `length` bytes, and stores what it says of itself in `info`. A key
 * frame sets the canvas' size. Returns FRAME_OK; FRAME_MALFORMED; FRAME_MISMATCH, with the canvas
 * as it was, when a delta is for another frame than the one shown; or -errno when memory is short.
 * After FRAME_MALFORMED the canvas may show a mixture and has id 0, so that no delta fits it.
 */
int frame_canvas_apply(struct frame_canvas *canvas, const uint8_t *record, size_t length,
                       struct frame_info *info);

/*
 * Copies the picture of `from` to `to`, id included, so that a reader can keep frames to go back
 * to. Returns 0 or -errno.
 */
int frame_canvas_copy(struct frame_canvas *to, const struct frame_canvas *from);

#endif

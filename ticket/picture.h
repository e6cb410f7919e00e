/*
 * One screenshot's pixels in locked memory, and what may be done to them before they are encoded.
 *
 * Not thread safe: one owner at a time, who may hand it to another thread.
 */
#ifndef CLOISTER_PICTURE_H
#define CLOISTER_PICTURE_H

#include <stddef.h>
#include <stdint.h>

/* libwebp's limit for either side. */
#define PICTURE_SIDE_MAX 16383

/* Rows follow each other without padding; a pixel is 0xffRRGGBB (BGRX in memory, X being 0xff). */
struct picture {
    uint32_t width, height;
    uint32_t *pixels;
};

/* In pixels of the picture; what lies outside it is ignored. */
struct rectangle {
    uint32_t x, y, width, height;
};

/*
 * Makes a black picture. Returns 0, -EINVAL (a side is 0 or over PICTURE_SIDE_MAX) or -ENOMEM. The
 * caller owns it.
 */
int picture_new(struct picture **out, uint32_t width, uint32_t height);

/* Wipes and frees; NULL is allowed. Returns NULL. */
struct picture *picture_free(struct picture *picture);

/*
 * Copies `height` rows of BGRX from `rows`, `stride` bytes apart, setting each X to 0xff. The
 * source must be as large as the picture.
 */
void picture_load(struct picture *picture, const void *rows, size_t stride);

/* Paints the part of `area` that lies inside black, for good. */
void picture_redact(struct picture *picture, const struct rectangle *area);

/*
 * Scales `from` to the size of `to` by averaging (down) or repeating (up): for showing, not for
 * keeping.
 */
void picture_scale(struct picture *to, const struct picture *from);

/* The largest size of the shape of `width` x `height` that fits into the given box; never 0. */
void picture_fit(uint32_t width, uint32_t height, uint32_t box_width, uint32_t box_height,
                 uint32_t *out_width, uint32_t *out_height);

#endif

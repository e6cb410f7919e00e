/*
 * Screenshots as WebP lossless images (RFC 9649), in and out of locked memory.
 *
 * libwebp's own scratch memory comes from malloc: a program that must keep pixels off every disk
 * locks it by mlockall (ticket/harden.h). Pure functions; any thread may call them.
 */
#ifndef CLOISTER_IMAGE_H
#define CLOISTER_IMAGE_H

#include "locked_bytes.h"
#include "picture.h"

enum image_outcome {
    IMAGE_BAD = 1, /* not a still WebP image, damaged, or larger than asked for */
};

/*
 * Encodes exactly, at libwebp's fast level 1 (for a desktop about 80 ms for 1920x1080, and less
 * than a tenth larger than the slow levels). `out` must be empty; the caller owns its bytes.
 * Returns 0 or -ENOMEM.
 */
int image_encode(struct locked_bytes *out, const struct picture *picture);

/*
 * Decodes what image_encode made (or anybody: the input may be hostile). Returns 0, IMAGE_BAD or
 * -ENOMEM. The caller owns the picture.
 */
int image_decode(struct picture **out, const void *bytes, size_t length);

#endif

/*
 * The writer of frame records: finds what changed since the picture before, packs it with LZ4.
 *
 * Rows are compared with memcmp; a changed row's first and last changed pixel are found from both
 * ends; neighbouring changed rows are gathered into bands (frame/record.h) as long as a common
 * rectangle wastes little. A band's pixels are copied once out of the source, and what is packed
 * and what is remembered as the picture before are both taken from that copy: a source that changes
 * underneath (the X server writes it) cannot make record and memory disagree.
 *
 * The encoder's copy of a band lies in locked memory. An encoder belongs to one thread at a time.
 */
#ifndef CLOISTER_FRAME_ENCODE_H
#define CLOISTER_FRAME_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#include "record.h"

struct frame_encoder;

/* Makes an encoder. Returns 0 or -errno. */
int frame_encoder_new(struct frame_encoder **out);

/* Wipes and frees it; accepts NULL, returns NULL. */
struct frame_encoder *frame_encoder_free(struct frame_encoder *encoder);

/* The most bytes that a record of a picture of this size takes. */
size_t frame_encode_bound(uint16_t width, uint16_t height);

/*
 * Writes one record to `out` of `capacity` bytes, and its length to `length`.
 *
 * `info` says everything but `bands` and `band_bytes`, which are filled in. `pixels` is the
 * picture, B G R X with `stride` bytes from row to row. `previous` is the picture before, rows of
 * width * 4 bytes without gaps; it must be what the frame info->base showed, is not read for a key
 * frame, and is made equal to `pixels` in either case. A delta without any change has no bands.
 *
 * Returns FRAME_OK; FRAME_MALFORMED if `info` makes no sense; FRAME_TOO_LARGE if `capacity` is
 * below frame_encode_bound. In those two cases `previous` is untouched.
 */
int frame_encode(struct frame_encoder *encoder, struct frame_info *info, const uint8_t *pixels,
                 size_t stride, uint8_t *previous, uint8_t *out, size_t capacity, size_t *length);

#endif

/*
 * Writing one LZ4 frame (the format of the `lz4` program), streaming, with a content checksum.
 * What it holds back of the plaintext lies in locked memory, apart from liblz4's own state.
 * Not thread safe.
 */
#ifndef CLOISTER_LZ4_FRAME_H
#define CLOISTER_LZ4_FRAME_H

#include <stddef.h>

struct lz4_frame;

/* Receives bytes in order. Returns 0 or a negative errno. */
typedef int lz4_frame_sink(void *context, const void *bytes, size_t length);

/* Begins a frame. Returns 0, -ENOMEM, or what the sink returned. */
int lz4_frame_new(struct lz4_frame **out, lz4_frame_sink *sink, void *context);

/* Compresses more. Returns 0, -EIO (liblz4 failed, which it never should) or the sink's error. */
int lz4_frame_data(struct lz4_frame *frame, const void *bytes, size_t length);

/* Ends the frame. Returns as lz4_frame_data. */
int lz4_frame_finish(struct lz4_frame *frame);

/* Frees; NULL is allowed. Returns NULL. */
struct lz4_frame *lz4_frame_free(struct lz4_frame *frame);

#endif

/*
 * For tests and the bench: frames as capture would keep them, made by its own encoder from a drawn
 * desktop (windows with text-like glyphs, of which a part changes from frame to frame).
 */
#ifndef CLOISTER_SAMPLE_H
#define CLOISTER_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "record.h"

struct sample;

/* A desktop of this size; aborts when memory is short. */
struct sample *sample_new(uint16_t width, uint16_t height);
struct sample *sample_free(struct sample *sample);

/*
 * Makes the next record (a key frame if `key`, and always first) in malloc'ed memory, with what it
 * says in `info` and the pixels that it shows in sample_pixels.
 */
uint8_t *sample_record(struct sample *sample, int key, size_t *length, struct frame_info *info);

/* B G R X, rows of width * 4 bytes. */
const uint8_t *sample_pixels(const struct sample *sample);

#endif

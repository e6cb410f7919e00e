/*
 * A picture in a terminal: each character cell shows two pixels, one above the other, as the upper
 * half block U+2580 in 24-bit colour (ISO 8613-6 direct colour, as most terminals know it).
 *
 * Pure but for the memory it takes; one thread.
 */
#ifndef CLOISTER_PREVIEW_H
#define CLOISTER_PREVIEW_H

#include "locked_bytes.h"
#include "picture.h"

/* Appends the picture, scaled to fit `columns` x `rows` cells, to `out`. Returns 0 or -ENOMEM. */
int preview_draw(struct locked_bytes *out, const struct picture *picture, uint32_t columns,
                 uint32_t rows);

#endif

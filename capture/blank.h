/*
 * Rectangles that must not be seen, and their removal from a picture before anything else looks at
 * it. Coordinates are those of the root window; rectangles may reach beyond the picture.
 *
 * All functions are pure; a list belongs to one thread at a time.
 */
#ifndef CLOISTER_CAPTURE_BLANK_H
#define CLOISTER_CAPTURE_BLANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLANK_RECTANGLES_MAX 1024U

struct rectangle {
    int32_t x, y;
    uint32_t width, height;
};

struct blank_list {
    size_t count;
    bool everything; /* too many, or what must be blanked is not known */
    struct rectangle rectangles[BLANK_RECTANGLES_MAX];
};

/* Adds a rectangle; a list that is full means everything. */
void blank_add(struct blank_list *list, struct rectangle rectangle);

/*
 * Paints the rectangles black in `pixels`, `height` rows of `width` pixels of 4 bytes, `stride`
 * bytes from row to row. Returns whether any pixel was in one.
 */
bool blank_apply(const struct blank_list *list, uint8_t *pixels, uint32_t width, uint32_t height,
                 size_t stride);

#endif

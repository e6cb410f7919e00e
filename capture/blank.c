#include "blank.h"

#include <string.h>

void blank_add(struct blank_list *list, struct rectangle rectangle)
{
    if (rectangle.width == 0 || rectangle.height == 0)
        return;
    if (list->count == BLANK_RECTANGLES_MAX) {
        list->everything = true;
        return;
    }
    list->rectangles[list->count++] = rectangle;
}

/* The part of [from, from + length) that lies in [0, limit); empty: first == end. */
static void clip(int32_t from, uint32_t length, uint32_t limit, size_t *first, size_t *end)
{
    int64_t start = from, stop = (int64_t)from + length;
    if (start < 0)
        start = 0;
    if (stop > limit)
        stop = limit;
    *first = (size_t)start;
    *end = stop > start ? (size_t)stop : (size_t)start;
}

static bool paint(struct rectangle r, uint8_t *pixels, uint32_t width, uint32_t height,
                  size_t stride)
{
    size_t left, right, top, bottom;
    clip(r.x, r.width, width, &left, &right);
    clip(r.y, r.height, height, &top, &bottom);
    if (left == right || top == bottom)
        return false;
    for (size_t y = top; y < bottom; y++)
        memset(pixels + y * stride + left * 4, 0, (right - left) * 4);
    return true;
}

bool blank_apply(const struct blank_list *list, uint8_t *pixels, uint32_t width, uint32_t height,
                 size_t stride)
{
    if (list->everything)
        return paint((struct rectangle){0, 0, width, height}, pixels, width, height, stride);
    bool any = false;
    for (size_t i = 0; i < list->count; i++)
        any |= paint(list->rectangles[i], pixels, width, height, stride);
    return any;
}

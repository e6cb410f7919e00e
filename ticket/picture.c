#include "picture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "secret_memory.h"

static const uint32_t black = 0xff000000;

static size_t byte_size(const struct picture *picture)
{
    return (size_t)picture->width * picture->height * 4;
}

static void fill(uint32_t *pixels, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pixels[i] = black;
}

int picture_new(struct picture **out, uint32_t width, uint32_t height)
{
    if (width < 1 || height < 1 || width > PICTURE_SIDE_MAX || height > PICTURE_SIDE_MAX)
        return -EINVAL;
    struct picture *picture = calloc(1, sizeof(*picture));
    if (!picture)
        return -ENOMEM;
    picture->width = width;
    picture->height = height;
    picture->pixels = locked_alloc(byte_size(picture));
    if (!picture->pixels) {
        free(picture);
        return -ENOMEM;
    }
    fill(picture->pixels, (size_t)width * height);
    *out = picture;
    return 0;
}

struct picture *picture_free(struct picture *picture)
{
    if (picture) {
        locked_free(picture->pixels, byte_size(picture));
        free(picture);
    }
    return NULL;
}

void picture_load(struct picture *picture, const void *rows, size_t stride)
{
    const uint8_t *row = rows;
    uint32_t *to = picture->pixels;
    for (uint32_t y = 0; y < picture->height; y++, row += stride) {
        memcpy(to, row, (size_t)picture->width * 4);
        for (uint32_t x = 0; x < picture->width; x++)
            to[x] |= black;
        to += picture->width;
    }
}

/* The end of a span that begins at `start`, inside `limit`; without overflow. */
static uint32_t clipped_end(uint32_t start, uint32_t length, uint32_t limit)
{
    if (start >= limit)
        return start;
    return length < limit - start ? start + length : limit;
}

void picture_redact(struct picture *picture, const struct rectangle *area)
{
    uint32_t right = clipped_end(area->x, area->width, picture->width);
    uint32_t bottom = clipped_end(area->y, area->height, picture->height);
    for (uint32_t y = area->y; y < bottom; y++)
        if (right > area->x)
            fill(picture->pixels + (size_t)y * picture->width + area->x, right - area->x);
}

/* The mean colour of a block of the source, at least one pixel. */
static uint32_t mean(const struct picture *from, uint32_t x0, uint32_t x1, uint32_t y0, uint32_t y1)
{
    uint64_t r = 0, g = 0, b = 0, count = (uint64_t)(x1 - x0) * (y1 - y0);
    for (uint32_t y = y0; y < y1; y++) {
        const uint32_t *row = from->pixels + (size_t)y * from->width;
        for (uint32_t x = x0; x < x1; x++) {
            r += row[x] >> 16 & 0xff;
            g += row[x] >> 8 & 0xff;
            b += row[x] & 0xff;
        }
    }
    return black | (uint32_t)(r / count) << 16 | (uint32_t)(g / count) << 8 | (uint32_t)(b / count);
}

void picture_scale(struct picture *to, const struct picture *from)
{
    for (uint32_t y = 0; y < to->height; y++) {
        uint32_t y0 = (uint32_t)((uint64_t)y * from->height / to->height);
        uint32_t y1 = (uint32_t)((uint64_t)(y + 1) * from->height / to->height);
        for (uint32_t x = 0; x < to->width; x++) {
            uint32_t x0 = (uint32_t)((uint64_t)x * from->width / to->width);
            uint32_t x1 = (uint32_t)((uint64_t)(x + 1) * from->width / to->width);
            to->pixels[(size_t)y * to->width + x] =
                mean(from, x0, x1 > x0 ? x1 : x0 + 1, y0, y1 > y0 ? y1 : y0 + 1);
        }
    }
}

void picture_fit(uint32_t width, uint32_t height, uint32_t box_width, uint32_t box_height,
                 uint32_t *out_width, uint32_t *out_height)
{
    uint64_t w = box_width, h = (uint64_t)box_width * height / width;
    if (h > box_height) {
        h = box_height;
        w = (uint64_t)box_height * width / height;
    }
    *out_width = w ? (uint32_t)w : 1;
    *out_height = h ? (uint32_t)h : 1;
}

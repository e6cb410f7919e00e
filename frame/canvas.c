#include "canvas.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#include "secret_memory.h"

int frame_canvas_new(struct frame_canvas **out)
{
    struct frame_canvas *canvas = calloc(1, sizeof(*canvas));
    if (canvas == NULL)
        return -ENOMEM;
    canvas->band = locked_alloc(FRAME_BAND_BYTES);
    if (canvas->band == NULL) {
        int error = -errno;
        free(canvas);
        return error;
    }
    *out = canvas;
    return 0;
}

struct frame_canvas *frame_canvas_free(struct frame_canvas *canvas)
{
    if (canvas == NULL)
        return NULL;
    locked_free(canvas->pixels, canvas->capacity);
    locked_free(canvas->band, FRAME_BAND_BYTES);
    free(canvas);
    return NULL;
}

static size_t picture_bytes(uint16_t width, uint16_t height)
{
    return (size_t)width * height * FRAME_PIXEL_BYTES;
}

/* Gives the canvas a size; its content is then without meaning. */
static int resize(struct frame_canvas *canvas, uint16_t width, uint16_t height)
{
    size_t need = picture_bytes(width, height);
    canvas->id = 0;
    if (need > canvas->capacity) {
        uint8_t *pixels = locked_alloc(need);
        if (pixels == NULL)
            return -errno;
        locked_free(canvas->pixels, canvas->capacity);
        canvas->pixels = pixels;
        canvas->capacity = need;
    }
    canvas->width = width;
    canvas->height = height;
    return 0;
}

/* A band as wide as the picture lies in it without gaps and is unpacked in place. */
static int apply_band(struct frame_canvas *canvas, const struct frame_band *band)
{
    size_t row = (size_t)canvas->width * FRAME_PIXEL_BYTES;
    size_t band_row = (size_t)band->width * FRAME_PIXEL_BYTES;
    size_t size = band_row * band->height;
    uint8_t *place = canvas->pixels + band->y * row + (size_t)band->x * FRAME_PIXEL_BYTES;
    uint8_t *target = band_row == row ? place : canvas->band;
    int got = LZ4_decompress_safe((const char *)band->packed, (char *)target,
                                  (int)band->packed_length, (int)size);
    if (got < 0 || (size_t)got != size)
        return FRAME_MALFORMED;
    if (target == place)
        return FRAME_OK;
    for (size_t y = 0; y < band->height; y++)
        memcpy(place + y * row, canvas->band + y * band_row, band_row);
    return FRAME_OK;
}

int frame_canvas_apply(struct frame_canvas *canvas, const uint8_t *record, size_t length,
                       struct frame_info *info)
{
    int outcome = frame_record_read(record, length, info);
    if (outcome != FRAME_OK)
        return outcome;
    if (info->kind == FRAME_KEY) {
        outcome = resize(canvas, info->width, info->height);
        if (outcome != 0)
            return outcome;
    } else if (canvas->id == 0 || info->base != canvas->id || info->width != canvas->width ||
               info->height != canvas->height) {
        return FRAME_MISMATCH;
    }
    const uint8_t *at = record + frame_head_length(info);
    canvas->id = 0;
    for (uint32_t i = 0; i < info->bands; i++) {
        struct frame_band band;
        frame_band_next(&at, &band);
        if (apply_band(canvas, &band) != FRAME_OK)
            return FRAME_MALFORMED;
    }
    canvas->id = info->id;
    return FRAME_OK;
}

int frame_canvas_copy(struct frame_canvas *to, const struct frame_canvas *from)
{
    int error = resize(to, from->width, from->height);
    if (error != 0)
        return error;
    if (from->pixels != NULL)
        memcpy(to->pixels, from->pixels, picture_bytes(from->width, from->height));
    to->id = from->id;
    return 0;
}

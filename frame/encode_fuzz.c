/*
 * Any picture through the encoder and the reader: a key frame, then deltas, each a change of the
 * picture before. What the reader shows must be the encoder's picture to the last pixel.
 *
 * The input: width and padding of a row, height, then steps of six bytes: how a rectangle
 * changes (noise or one colour), its corner, its size, a value.
 */
#include <stdlib.h>
#include <string.h>

#include "canvas.h"
#include "encode.h"

#define SIDE_MAX 256
#define STEP     6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct picture {
    struct frame_info info;
    size_t stride, capacity;
    uint8_t *pixels, *previous, *record;
};

static struct frame_encoder *encoder;
static struct frame_canvas *canvas;

static void must(int condition)
{
    if (!condition)
        abort();
}

static void picture_make(struct picture *p, unsigned width, unsigned height, unsigned padding)
{
    *p = (struct picture){.stride = (size_t)width * FRAME_PIXEL_BYTES + padding};
    p->info.trigger = FRAME_TRIGGER_RETURN;
    p->info.kind = FRAME_KEY;
    p->info.id = 1;
    p->info.width = (uint16_t)width;
    p->info.height = (uint16_t)height;
    p->capacity = frame_encode_bound(p->info.width, p->info.height);
    p->pixels = calloc(height, p->stride);
    p->previous = calloc(height, (size_t)width * FRAME_PIXEL_BYTES);
    p->record = malloc(p->capacity);
    must(p->pixels && p->previous && p->record);
}

/* Writes the picture as a record of exactly its length, reads that, compares. */
static void pass(struct picture *p)
{
    struct frame_info read;
    size_t length = 0;
    size_t row = (size_t)p->info.width * FRAME_PIXEL_BYTES;
    must(frame_encode(encoder, &p->info, p->pixels, p->stride, p->previous, p->record, p->capacity,
                      &length) == FRAME_OK);
    uint8_t *record = malloc(length);
    must(record != NULL);
    memcpy(record, p->record, length);
    must(frame_canvas_apply(canvas, record, length, &read) == FRAME_OK);
    free(record);
    must(read.id == p->info.id && canvas->id == read.id && frame_record_length(&read) == length);
    for (size_t y = 0; y < p->info.height; y++) {
        must(memcmp(canvas->pixels + y * row, p->pixels + y * p->stride, row) == 0);
        must(memcmp(p->previous + y * row, p->pixels + y * p->stride, row) == 0);
    }
}

static void change(struct picture *p, const uint8_t *step)
{
    unsigned x = step[1] % p->info.width, y = step[2] % p->info.height;
    unsigned right = x + step[3], bottom = y + step[4];
    uint32_t value = step[5] * 2654435761u;
    for (unsigned row = y; row <= bottom && row < p->info.height; row++) {
        for (unsigned column = x; column <= right && column < p->info.width; column++) {
            uint8_t *pixel = p->pixels + row * p->stride + (size_t)column * FRAME_PIXEL_BYTES;
            if (step[0] & 1)
                value = value * 1664525u + 1013904223u;
            memcpy(pixel, &value, FRAME_PIXEL_BYTES);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct picture p;
    if (size < 3 || size > 3 + 64 * STEP)
        return 0;
    if (!encoder)
        must(frame_encoder_new(&encoder) == 0 && frame_canvas_new(&canvas) == 0);
    picture_make(&p, data[0] % SIDE_MAX + 1u, data[1] % SIDE_MAX + 1u, data[2] % 64 * 4u);
    pass(&p);
    for (size_t at = 3; size - at >= STEP; at += STEP) {
        change(&p, data + at);
        p.info.kind = data[at] & 2 ? FRAME_KEY : FRAME_DELTA;
        p.info.base = p.info.kind == FRAME_DELTA ? p.info.id : 0;
        p.info.id++;
        pass(&p);
    }
    free(p.pixels);
    free(p.previous);
    free(p.record);
    return 0;
}

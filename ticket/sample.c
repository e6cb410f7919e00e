#include "sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encode.h"

enum { GLYPH_WIDTH = 8, GLYPH_HEIGHT = 16, GLYPHS = 96 };

struct sample {
    uint16_t width, height;
    uint64_t id;
    uint32_t random;
    uint32_t *pixels;
    uint8_t *previous;
    struct frame_encoder *encoder;
    uint8_t glyphs[GLYPHS][GLYPH_HEIGHT];
};

static uint32_t next_random(struct sample *sample)
{
    uint32_t x = sample->random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return sample->random = x;
}

static void fill(struct sample *sample, uint32_t x0, uint32_t y0, uint32_t width, uint32_t height,
                 uint32_t colour)
{
    for (uint32_t y = y0; y < y0 + height && y < sample->height; y++)
        for (uint32_t x = x0; x < x0 + width && x < sample->width; x++)
            sample->pixels[(size_t)y * sample->width + x] = colour;
}

static void draw_glyph(struct sample *sample, uint32_t x0, uint32_t y0, const uint8_t *glyph,
                       uint32_t colour)
{
    for (uint32_t y = 0; y < GLYPH_HEIGHT && y0 + y < sample->height; y++)
        for (uint32_t x = 0; x < GLYPH_WIDTH && x0 + x < sample->width; x++)
            if (glyph[y] >> x & 1)
                sample->pixels[(size_t)(y0 + y) * sample->width + x0 + x] = colour;
}

static void draw_line(struct sample *sample, uint32_t x, uint32_t y, uint32_t width)
{
    fill(sample, x, y, width, GLYPH_HEIGHT, 0xf8f8f8);
    uint32_t length = next_random(sample) % (width / GLYPH_WIDTH + 1);
    for (uint32_t i = 0; i < length; i++)
        if (next_random(sample) % 6)
            draw_glyph(sample, x + i * GLYPH_WIDTH, y, sample->glyphs[next_random(sample) % GLYPHS],
                       next_random(sample) % 9 ? 0x202020 : 0x2050c0);
}

/* A window with a title bar and lines of text. */
static void draw_window(struct sample *sample)
{
    uint32_t width = sample->width / 3 + next_random(sample) % (sample->width / 3 + 1);
    uint32_t height = sample->height / 3 + next_random(sample) % (sample->height / 3 + 1);
    uint32_t x = next_random(sample) % (sample->width - width + 1);
    uint32_t y = next_random(sample) % (sample->height - height + 1);
    for (uint32_t i = 0; i < 24; i++)
        fill(sample, x, y + i, width, 1, 0x405060 + i * 0x030303);
    fill(sample, x, y + 24, width, height > 24 ? height - 24 : 0, 0xf8f8f8);
    for (uint32_t line = 28; line + GLYPH_HEIGHT < height; line += GLYPH_HEIGHT + 3)
        if (next_random(sample) % 5)
            draw_line(sample, x + 6, y + line, width > 12 ? width - 12 : 1);
}

static void draw_background(struct sample *sample)
{
    for (uint32_t y = 0; y < sample->height; y++)
        fill(sample, 0, y, sample->width, 1, 0x203040 + (y * 64 / sample->height) * 0x010101);
}

struct sample *sample_new(uint16_t width, uint16_t height)
{
    struct sample *sample = calloc(1, sizeof(*sample));
    size_t size = (size_t)width * height * 4;
    if (!sample || !(sample->pixels = calloc(1, size)) || !(sample->previous = calloc(1, size)) ||
        frame_encoder_new(&sample->encoder) != 0)
        abort();
    sample->width = width;
    sample->height = height;
    sample->random = 2463534242;
    for (int glyph = 0; glyph < GLYPHS; glyph++)
        for (int row = 3; row < 13; row++)
            sample->glyphs[glyph][row] =
                (uint8_t)(next_random(sample) & next_random(sample) & 0x7e);
    draw_background(sample);
    for (int i = 0; i < 4; i++)
        draw_window(sample);
    return sample;
}

struct sample *sample_free(struct sample *sample)
{
    frame_encoder_free(sample->encoder);
    free(sample->pixels);
    free(sample->previous);
    free(sample);
    return NULL;
}

/* What a click or a Return changes: some lines, now and then a window. */
static void change(struct sample *sample)
{
    if (next_random(sample) % 10 == 0)
        draw_window(sample);
    for (uint32_t i = next_random(sample) % 8 + 1; i > 0; i--)
        draw_line(sample, next_random(sample) % (sample->width / 2 + 1),
                  next_random(sample) % (sample->height > 16 ? sample->height - 16 : 1),
                  sample->width / 4 + 8);
}

uint8_t *sample_record(struct sample *sample, int key, size_t *length, struct frame_info *info)
{
    if (sample->id > 0)
        change(sample);
    key = key || sample->id == 0;
    memset(info, 0, sizeof(*info));
    info->kind = key ? FRAME_KEY : FRAME_DELTA;
    info->base = key ? 0 : sample->id;
    info->id = ++sample->id;
    info->trigger = FRAME_TRIGGER_BUTTON;
    info->trigger_detail = 1;
    info->time_ms = 1790000000000 + info->id * 1500;
    info->width = sample->width;
    info->height = sample->height;
    info->title_length = (uint16_t)snprintf(info->title, sizeof(info->title), "Window %llu",
                                            (unsigned long long)info->id);
    size_t capacity = frame_encode_bound(sample->width, sample->height);
    uint8_t *record = malloc(capacity);
    if (!record || frame_encode(sample->encoder, info, (const uint8_t *)sample->pixels,
                                (size_t)sample->width * 4, sample->previous, record, capacity,
                                length) != FRAME_OK)
        abort();
    return record;
}

const uint8_t *sample_pixels(const struct sample *sample)
{
    return (const uint8_t *)sample->pixels;
}

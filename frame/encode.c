#include "encode.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#include "secret_memory.h"

/* A band may be this many times as large as the changed pixels that it holds (in quarters), and
 * this many pixels more: a header and a block cost about as much as those. */
#define WASTE_QUARTERS 6U
#define WASTE_PIXELS   256U

/* The changed pixels of one row: from `first` up to but without `end`; equal: none. */
struct extent {
    uint16_t first, end;
};

struct frame_encoder {
    uint8_t *band;   /* FRAME_BAND_BYTES, locked */
    void *lz4_state; /* positions, no pixels */
    struct extent rows[FRAME_SIDE_MAX];
};

/* One call's sources and destinations. */
struct job {
    struct frame_encoder *encoder;
    const uint8_t *pixels;
    size_t stride;
    uint8_t *previous;
    size_t row; /* bytes from row to row of `previous` */
    uint8_t *out;
    size_t rows_known;
};

int frame_encoder_new(struct frame_encoder **out)
{
    struct frame_encoder *encoder = calloc(1, sizeof(*encoder));
    if (encoder == NULL)
        return -ENOMEM;
    encoder->lz4_state = malloc((size_t)LZ4_sizeofState());
    encoder->band = encoder->lz4_state == NULL ? NULL : locked_alloc(FRAME_BAND_BYTES);
    if (encoder->band == NULL) {
        int error = errno != 0 ? -errno : -ENOMEM;
        free(encoder->lz4_state);
        free(encoder);
        return error;
    }
    *out = encoder;
    return 0;
}

struct frame_encoder *frame_encoder_free(struct frame_encoder *encoder)
{
    if (encoder == NULL)
        return NULL;
    locked_free(encoder->band, FRAME_BAND_BYTES);
    free(encoder->lz4_state);
    free(encoder);
    return NULL;
}

size_t frame_encode_bound(uint16_t width, uint16_t height)
{
    size_t raw = (size_t)width * height * FRAME_PIXEL_BYTES;
    /* LZ4_COMPRESSBOUND of any split into at most `height` blocks. */
    return FRAME_HEAD_MAX + raw + raw / 255 + (size_t)height * (FRAME_BAND_HEADER + 16);
}

/* Chunks are compared with memcmp, which the C library has in vector form; pixels only at the
 * borders of what changed. */
#define CHUNK_PIXELS 32U

static struct extent changed_extent(const uint8_t *now, const uint8_t *before, size_t width)
{
    struct extent extent = {0, 0};
    size_t size = width * FRAME_PIXEL_BYTES;
    if (memcmp(now, before, size) == 0)
        return extent;
    size_t chunk = CHUNK_PIXELS * FRAME_PIXEL_BYTES;
    size_t first = 0;
    while (size - first >= chunk && memcmp(now + first, before + first, chunk) == 0)
        first += chunk;
    while (first < size && memcmp(now + first, before + first, FRAME_PIXEL_BYTES) == 0)
        first += FRAME_PIXEL_BYTES;
    size_t end = size;
    while (end - first >= chunk && memcmp(now + end - chunk, before + end - chunk, chunk) == 0)
        end -= chunk;
    while (end > first && memcmp(now + end - FRAME_PIXEL_BYTES, before + end - FRAME_PIXEL_BYTES,
                                 FRAME_PIXEL_BYTES) == 0)
        end -= FRAME_PIXEL_BYTES;
    extent.first = (uint16_t)(first / FRAME_PIXEL_BYTES);
    extent.end = (uint16_t)(end / FRAME_PIXEL_BYTES);
    return extent;
}

/* Rows are looked at one after the other, just before they are gathered: then they are copied out
 * of the cache. */
static struct extent changes_of(struct job *job, const struct frame_info *info, size_t y)
{
    struct extent *rows = job->encoder->rows;
    for (; job->rows_known <= y; job->rows_known++) {
        size_t at = job->rows_known;
        if (info->kind == FRAME_KEY)
            rows[at] = (struct extent){0, info->width};
        else
            rows[at] = changed_extent(job->pixels + at * job->stride, job->previous + at * job->row,
                                      info->width);
    }
    return rows[y];
}

/* Gathers the changed rows from band->y on, of which the first has `changes`. */
static void gather_rows(struct job *job, const struct frame_info *info, struct extent changes,
                        struct frame_band *band)
{
    size_t first = changes.first, end = changes.end;
    size_t changed = end - first;
    size_t y = (size_t)band->y + 1;
    for (; y < info->height; y++) {
        struct extent row = changes_of(job, info, y);
        if (row.first == row.end)
            break;
        size_t wider_first = row.first < first ? row.first : first;
        size_t wider_end = row.end > end ? row.end : end;
        size_t area = (wider_end - wider_first) * (y + 1 - band->y);
        size_t sum = changed + (size_t)(row.end - row.first);
        if (area > FRAME_BAND_BYTES / FRAME_PIXEL_BYTES ||
            area > sum * WASTE_QUARTERS / 4 + WASTE_PIXELS)
            break;
        first = wider_first;
        end = wider_end;
        changed = sum;
    }
    band->x = (uint16_t)first;
    band->width = (uint16_t)(end - first);
    band->height = (uint16_t)(y - band->y);
}

/* Copies the band out of the source, once, and remembers and packs that copy. */
static void put_band(struct job *job, struct frame_band *band)
{
    size_t band_row = (size_t)band->width * FRAME_PIXEL_BYTES;
    uint8_t *copy = job->encoder->band;
    for (size_t i = 0; i < band->height; i++) {
        size_t y = band->y + i, x = (size_t)band->x * FRAME_PIXEL_BYTES;
        memcpy(copy + i * band_row, job->pixels + y * job->stride + x, band_row);
        memcpy(job->previous + y * job->row + x, copy + i * band_row, band_row);
    }
    int size = (int)(band_row * band->height);
    int packed = LZ4_compress_fast_extState(job->encoder->lz4_state, (const char *)copy,
                                            (char *)job->out + FRAME_BAND_HEADER, size,
                                            LZ4_compressBound(size), 1);
    band->packed_length = (uint32_t)packed;
    frame_band_write(job->out, band);
    job->out += FRAME_BAND_HEADER + (size_t)packed;
}

int frame_encode(struct frame_encoder *encoder, struct frame_info *info, const uint8_t *pixels,
                 size_t stride, uint8_t *previous, uint8_t *out, size_t capacity, size_t *length)
{
    size_t head = 0;
    info->bands = 0;
    info->band_bytes = 0;
    int outcome = frame_head_write(info, out, capacity, &head);
    if (outcome != FRAME_OK)
        return outcome;
    if (frame_encode_bound(info->width, info->height) > capacity)
        return FRAME_TOO_LARGE;
    struct job job = {.encoder = encoder,
                      .pixels = pixels,
                      .stride = stride,
                      .previous = previous,
                      .row = (size_t)info->width * FRAME_PIXEL_BYTES,
                      .out = out + head};
    for (size_t y = 0; y < info->height;) {
        struct extent changes = changes_of(&job, info, y);
        if (changes.first == changes.end) {
            y++;
            continue;
        }
        struct frame_band band = {.y = (uint16_t)y};
        gather_rows(&job, info, changes, &band);
        put_band(&job, &band);
        info->bands++;
        y += band.height;
    }
    info->band_bytes = (uint32_t)(job.out - out - head);
    *length = head + info->band_bytes;
    return frame_head_write(info, out, capacity, &head);
}

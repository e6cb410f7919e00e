#include "record.h"

#include <string.h>

#include "little_endian.h"

size_t frame_head_length(const struct frame_info *info)
{
    return FRAME_HEADER_BYTES + FRAME_MONITOR_BYTES * (size_t)info->monitor_count +
           info->title_length;
}

size_t frame_record_length(const struct frame_info *info)
{
    return frame_head_length(info) + info->band_bytes;
}

/* What writer and reader both insist on, beyond the layout. */
static int sensible(const struct frame_info *info)
{
    if (info->width == 0 || info->height == 0 || info->width > FRAME_SIDE_MAX ||
        info->height > FRAME_SIDE_MAX ||
        (size_t)info->width * info->height > FRAME_PICTURE_MAX / FRAME_PIXEL_BYTES)
        return 0;
    if (info->trigger < FRAME_TRIGGER_BUTTON || info->trigger > FRAME_TRIGGER_FUNCTION)
        return 0;
    if ((info->flags & ~(unsigned)FRAME_FLAGS_KNOWN) != 0 || info->id == 0)
        return 0;
    if (info->kind == FRAME_KEY
            ? info->base != 0
            : info->kind != FRAME_DELTA || info->base == 0 || info->base >= info->id)
        return 0;
    if (info->monitor_count > FRAME_MONITORS_MAX || info->bands > info->height)
        return 0;
    for (size_t i = 0; i < info->monitor_count; i++) {
        const struct frame_monitor *m = &info->monitors[i];
        if (m->x > info->width || m->width > info->width - m->x || m->y > info->height ||
            m->height > info->height - m->y)
            return 0;
    }
    if ((info->flags & FRAME_TITLE_WITHHELD) != 0 && info->title_length != 0)
        return 0;
    return frame_title_valid((const uint8_t *)info->title, info->title_length);
}

int frame_head_write(const struct frame_info *info, uint8_t *out, size_t capacity, size_t *length)
{
    if (!sensible(info))
        return FRAME_MALFORMED;
    if (frame_head_length(info) > capacity)
        return FRAME_TOO_LARGE;
    le_put32(out, FRAME_MAGIC);
    out[4] = FRAME_VERSION;
    out[5] = (uint8_t)info->kind;
    out[6] = (uint8_t)info->trigger;
    out[7] = (uint8_t)info->flags;
    le_put64(out + 8, info->id);
    le_put64(out + 16, info->base);
    le_put64(out + 24, info->time_ms);
    le_put32(out + 32, info->merged);
    le_put16(out + 36, info->width);
    le_put16(out + 38, info->height);
    le_put16(out + 40, info->trigger_detail);
    le_put16(out + 42, info->title_length);
    out[44] = info->monitor_count;
    out[45] = FRAME_FORMAT_BGRX;
    le_put16(out + 46, 0);
    le_put32(out + 48, info->bands);
    le_put32(out + 52, info->band_bytes);
    uint8_t *at = out + FRAME_HEADER_BYTES;
    for (size_t i = 0; i < info->monitor_count; i++, at += FRAME_MONITOR_BYTES) {
        le_put16(at, info->monitors[i].x);
        le_put16(at + 2, info->monitors[i].y);
        le_put16(at + 4, info->monitors[i].width);
        le_put16(at + 6, info->monitors[i].height);
    }
    memcpy(at, info->title, info->title_length);
    *length = frame_head_length(info);
    return FRAME_OK;
}

/* The fixed part, of FRAME_HEADER_BYTES. */
static int read_header(const uint8_t *head, struct frame_info *info)
{
    if (le_get32(head) != FRAME_MAGIC || head[4] != FRAME_VERSION ||
        head[45] != FRAME_FORMAT_BGRX || le_get16(head + 46) != 0)
        return FRAME_MALFORMED;
    info->kind = head[5];
    info->trigger = head[6];
    info->flags = head[7];
    info->id = le_get64(head + 8);
    info->base = le_get64(head + 16);
    info->time_ms = le_get64(head + 24);
    info->merged = le_get32(head + 32);
    info->width = le_get16(head + 36);
    info->height = le_get16(head + 38);
    info->trigger_detail = le_get16(head + 40);
    info->title_length = le_get16(head + 42);
    info->monitor_count = head[44];
    info->bands = le_get32(head + 48);
    info->band_bytes = le_get32(head + 52);
    if (info->title_length > FRAME_TITLE_MAX || info->monitor_count > FRAME_MONITORS_MAX)
        return FRAME_MALFORMED;
    return FRAME_OK;
}

/* Reads a head that may have something behind it. */
static int read_head(const uint8_t *head, size_t length, struct frame_info *info)
{
    memset(info, 0, sizeof(*info));
    if (length < FRAME_HEADER_BYTES || read_header(head, info) != FRAME_OK)
        return FRAME_MALFORMED;
    if (frame_head_length(info) > length)
        return FRAME_MALFORMED;
    const uint8_t *at = head + FRAME_HEADER_BYTES;
    for (size_t i = 0; i < info->monitor_count; i++, at += FRAME_MONITOR_BYTES) {
        info->monitors[i].x = le_get16(at);
        info->monitors[i].y = le_get16(at + 2);
        info->monitors[i].width = le_get16(at + 4);
        info->monitors[i].height = le_get16(at + 6);
    }
    memcpy(info->title, at, info->title_length);
    return sensible(info) ? FRAME_OK : FRAME_MALFORMED;
}

int frame_head_read(const uint8_t *head, size_t length, struct frame_info *info)
{
    int outcome = read_head(head, length, info);
    if (outcome == FRAME_OK && frame_head_length(info) != length)
        return FRAME_MALFORMED;
    return outcome;
}

void frame_band_next(const uint8_t **at, struct frame_band *band)
{
    const uint8_t *in = *at;
    band->x = le_get16(in);
    band->y = le_get16(in + 2);
    band->width = le_get16(in + 4);
    band->height = le_get16(in + 6);
    band->packed_length = le_get32(in + 8);
    band->packed = in + FRAME_BAND_HEADER;
    *at = band->packed + band->packed_length;
}

void frame_band_write(uint8_t *out, const struct frame_band *band)
{
    le_put16(out, band->x);
    le_put16(out + 2, band->y);
    le_put16(out + 4, band->width);
    le_put16(out + 6, band->height);
    le_put32(out + 8, band->packed_length);
}

/* `next_row` is the first row that no band has covered yet. */
static int band_fits(const struct frame_info *info, const struct frame_band *band,
                     uint32_t next_row)
{
    if (band->width == 0 || band->height == 0 || band->packed_length == 0)
        return 0;
    if (band->x > info->width || band->width > info->width - band->x)
        return 0;
    if (band->y < next_row || band->y > info->height || band->height > info->height - band->y)
        return 0;
    if (info->kind == FRAME_KEY && (band->width != info->width || band->y != next_row))
        return 0;
    return (size_t)band->width * band->height <= FRAME_BAND_BYTES / FRAME_PIXEL_BYTES;
}

int frame_record_read(const uint8_t *record, size_t length, struct frame_info *info)
{
    if (read_head(record, length, info) != FRAME_OK)
        return FRAME_MALFORMED;
    size_t rest = length - frame_head_length(info);
    if (rest != info->band_bytes)
        return FRAME_MALFORMED;
    const uint8_t *at = record + frame_head_length(info);
    uint32_t next_row = 0;
    for (uint32_t i = 0; i < info->bands; i++) {
        if (rest < FRAME_BAND_HEADER)
            return FRAME_MALFORMED;
        rest -= FRAME_BAND_HEADER;
        if (le_get32(at + 8) > rest)
            return FRAME_MALFORMED;
        struct frame_band band;
        frame_band_next(&at, &band);
        rest -= band.packed_length;
        if (!band_fits(info, &band, next_row))
            return FRAME_MALFORMED;
        next_row = (uint32_t)band.y + band.height;
    }
    if (rest != 0 || (info->kind == FRAME_KEY && next_row != info->height))
        return FRAME_MALFORMED;
    return FRAME_OK;
}

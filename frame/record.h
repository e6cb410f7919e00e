/*
 * The record of one frame: what capture keeps of a screenshot, and what a ticket program reads.
 *
 * Layout, little-endian, without gaps:
 *
 *    0  u32  magic "CLFR"                 36  u16  width in pixels
 *    4  u8   version (1)                  38  u16  height
 *    5  u8   kind: 1 key, 2 delta         40  u16  trigger detail
 *    6  u8   trigger                      42  u16  title length
 *    7  u8   flags                        44  u8   number of monitors
 *    8  u64  id of this frame             45  u8   pixel format (1: B G R X, 8 bits each)
 *   16  u64  id of the frame it changes   46  u16  0
 *   24  u64  unix time in ms              48  u32  number of bands
 *   32  u32  triggers merged into it      52  u32  length of all bands
 *   56  monitors: u16 x, y, width, height each
 *       title: UTF-8, no control characters
 *       bands: u16 x, y, width, height; u32 length; one LZ4 block of width * height pixels
 *
 * A band is a rectangle of pixels that differ from the frame before; bands go downwards and never
 * overlap. A key frame's bands cover the whole picture, so it stands alone. A band holds at most
 * FRAME_BAND_BYTES, which bounds what the reader allocates and keeps the writer within its cache.
 *
 * A record exists as plain text only in locked memory: capture encrypts it at once
 * (capture/ring.h), and it travels sealed to one ticket (frame/seal.h).
 */
#ifndef CLOISTER_FRAME_RECORD_H
#define CLOISTER_FRAME_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "title.h"

#define FRAME_MAGIC         0x52464c43U /* "CLFR" */
#define FRAME_VERSION       1
#define FRAME_HEADER_BYTES  56U
#define FRAME_MONITOR_BYTES 8U
#define FRAME_MONITORS_MAX  16U
#define FRAME_BAND_HEADER   12U
#define FRAME_BAND_BYTES    (256U * 1024U)
#define FRAME_PIXEL_BYTES   4U
#define FRAME_SIDE_MAX      32767U               /* of an X11 screen */
#define FRAME_PICTURE_MAX   (512U * 1024 * 1024) /* bytes of one picture: 16384 x 8192 */
#define FRAME_FORMAT_BGRX   1
/* The longest head (header, monitors, title) that a record can have. */
#define FRAME_HEAD_MAX                                                                             \
    (FRAME_HEADER_BYTES + FRAME_MONITOR_BYTES * FRAME_MONITORS_MAX + FRAME_TITLE_MAX)

enum frame_outcome {
    FRAME_OK = 0,
    FRAME_MALFORMED = 1, /* not a record of this version */
    FRAME_MISMATCH = 2,  /* a delta for another picture than the one at hand */
    FRAME_TOO_LARGE = 3, /* beyond FRAME_SIDE_MAX, FRAME_PICTURE_MAX, or the space given */
};

enum frame_kind {
    FRAME_KEY = 1,
    FRAME_DELTA = 2,
};

/* What made capture look. The detail is the mouse button's or the function key's number, else 0. */
enum frame_trigger {
    FRAME_TRIGGER_BUTTON = 1,
    FRAME_TRIGGER_RETURN = 2,
    FRAME_TRIGGER_KEYPAD_ENTER = 3,
    FRAME_TRIGGER_FUNCTION = 4,
};

enum frame_flag {
    FRAME_TITLE_WITHHELD = 1, /* the active window is on the deny list, or could not be checked */
    FRAME_BLANKED = 2,        /* parts of the picture were blanked */
    FRAME_FLAGS_KNOWN = 3,
};

/* A monitor's rectangle within the picture, in pixels. */
struct frame_monitor {
    uint16_t x, y, width, height;
};

/* Everything that a record says, except for the pixels. */
struct frame_info {
    enum frame_kind kind;
    enum frame_trigger trigger;
    uint16_t trigger_detail;
    unsigned flags;   /* of enum frame_flag */
    uint64_t id;      /* from 1 up */
    uint64_t base;    /* the frame that a delta changes; 0 in a key frame */
    uint64_t time_ms; /* unix time */
    uint32_t merged;  /* further triggers that this frame answers */
    uint16_t width, height;
    uint8_t monitor_count;
    struct frame_monitor monitors[FRAME_MONITORS_MAX];
    uint16_t title_length;
    char title[FRAME_TITLE_MAX + 1]; /* terminated */
    uint32_t bands;
    uint32_t band_bytes;
};

/* Length of the record's head: header, monitors and title. */
size_t frame_head_length(const struct frame_info *info);

/* Length of the whole record. */
size_t frame_record_length(const struct frame_info *info);

/*
 * Writes the head of `info` to `out`, which holds `capacity` bytes, and its length to `length`.
 * Returns FRAME_OK, FRAME_TOO_LARGE if the space does not suffice, or FRAME_MALFORMED if `info`
 * makes no sense. Any thread.
 */
int frame_head_write(const struct frame_info *info, uint8_t *out, size_t capacity, size_t *length);

/*
 * Reads a head of exactly `length` hostile bytes. The bands are not there and are not looked at.
 * Returns FRAME_OK or FRAME_MALFORMED. Any thread.
 */
int frame_head_read(const uint8_t *head, size_t length, struct frame_info *info);

/*
 * Reads the head of a whole record of exactly `length` hostile bytes, and checks that the bands
 * behind it add up: each within the picture, below the one before, and the last one ending where
 * the record ends. The LZ4 blocks are not looked at (see frame/canvas.h). Returns FRAME_OK or
 * FRAME_MALFORMED. Any thread.
 */
int frame_record_read(const uint8_t *record, size_t length, struct frame_info *info);

/* One band of a record that frame_record_read accepted. */
struct frame_band {
    uint16_t x, y, width, height;
    uint32_t packed_length;
    const uint8_t *packed;
};

/* Reads the band at `at` (which is advanced past it). The record must have been accepted. */
void frame_band_next(const uint8_t **at, struct frame_band *band);

/* Writes a band's header of FRAME_BAND_HEADER bytes to `out`; `packed` is not looked at. */
void frame_band_write(uint8_t *out, const struct frame_band *band);

#endif

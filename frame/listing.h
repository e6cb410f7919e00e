/*
 * The listing of frames that capture answers a ticket program with, before it is sealed: for each
 * frame, oldest first, its record's length and its record's head (frame/record.h), so that a user
 * sees time, trigger, title and size before any pixels are fetched.
 *
 * An entry: u32 length of the whole record, u16 length of the head, the head. Little-endian. A
 * listing ends where its bytes end.
 *
 * All functions are pure; any thread may call them.
 */
#ifndef CLOISTER_FRAME_LISTING_H
#define CLOISTER_FRAME_LISTING_H

#include <stddef.h>
#include <stdint.h>

#include "record.h"

#define LISTING_ENTRY_HEADER 6U
#define LISTING_ENTRY_MAX    (LISTING_ENTRY_HEADER + FRAME_HEAD_MAX)

/*
 * Appends the entry of one whole, valid record to `out`, of which `used` of `capacity` bytes are
 * taken. Returns FRAME_OK with `used` advanced, FRAME_TOO_LARGE if it does not fit, or
 * FRAME_MALFORMED.
 */
int listing_append(uint8_t *out, size_t capacity, size_t *used, const uint8_t *record,
                   size_t length);

/*
 * Reads the entry at `at` of a listing of `length` hostile bytes, and advances `at`. Returns
 * FRAME_OK with what the record says of itself in `info` and its whole length in `record_length`;
 * FRAME_MALFORMED. The caller stops when `at` equals `length`.
 */
int listing_next(const uint8_t *listing, size_t length, size_t *at, struct frame_info *info,
                 uint32_t *record_length);

#endif

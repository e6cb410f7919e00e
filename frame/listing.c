#include "listing.h"

#include <string.h>

#include "little_endian.h"

int listing_append(uint8_t *out, size_t capacity, size_t *used, const uint8_t *record,
                   size_t length)
{
    struct frame_info info;
    if (length > UINT32_MAX || frame_record_read(record, length, &info) != FRAME_OK)
        return FRAME_MALFORMED;
    size_t head = frame_head_length(&info);
    explicit_bzero(&info, sizeof(info)); /* the title, on a stack that may be swapped out */
    if (LISTING_ENTRY_HEADER + head > capacity - *used)
        return FRAME_TOO_LARGE;
    uint8_t *at = out + *used;
    le_put32(at, (uint32_t)length);
    le_put16(at + 4, (uint16_t)head);
    memcpy(at + LISTING_ENTRY_HEADER, record, head);
    *used += LISTING_ENTRY_HEADER + head;
    return FRAME_OK;
}

int listing_next(const uint8_t *listing, size_t length, size_t *at, struct frame_info *info,
                 uint32_t *record_length)
{
    if (*at > length || length - *at < LISTING_ENTRY_HEADER)
        return FRAME_MALFORMED;
    size_t rest = length - *at - LISTING_ENTRY_HEADER;
    const uint8_t *entry = listing + *at;
    size_t head = le_get16(entry + 4);
    if (head > rest || frame_head_read(entry + LISTING_ENTRY_HEADER, head, info) != FRAME_OK)
        return FRAME_MALFORMED;
    *record_length = le_get32(entry);
    if (*record_length != frame_record_length(info))
        return FRAME_MALFORMED;
    *at += LISTING_ENTRY_HEADER + head;
    return FRAME_OK;
}

#include "frame.h"

#include <string.h>

int frame_parse(struct frame *out, const uint8_t *data, size_t length)
{
    if (length <= FRAME_HEADER_BYTES || length > FRAME_MAX)
        return FRAME_MALFORMED;
    if (data[0] != FRAME_CHUNK && data[0] != FRAME_DIGESTS)
        return FRAME_MALFORMED;
    out->kind = (enum frame_kind)data[0];
    memcpy(out->ticket, data + 1, sizeof(out->ticket));
    out->index = (uint32_t)data[17] | (uint32_t)data[18] << 8 | (uint32_t)data[19] << 16 |
                 (uint32_t)data[20] << 24;
    out->content = data + FRAME_HEADER_BYTES;
    out->length = length - FRAME_HEADER_BYTES;
    if (out->kind == FRAME_DIGESTS && out->length % 32 != 0)
        return FRAME_MALFORMED;
    return 0;
}

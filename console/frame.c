#include "frame.h"

#include <string.h>

int frame_parse(struct frame *out, const uint8_t *data, size_t length)
{
    if (length <= FRAME_HEADER_BYTES || length > FRAME_MAX)
        return FRAME_MALFORMED;
    if (data[0] != FRAME_CHUNK && data[0] != FRAME_DIGESTS && data[0] != FRAME_STDOUT &&
        data[0] != FRAME_STDERR)
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

void frame_header(uint8_t out[FRAME_HEADER_BYTES], enum frame_kind kind, const uint8_t id[16],
                  uint32_t index)
{
    out[0] = (uint8_t)kind;
    memcpy(out + 1, id, 16);
    for (int i = 0; i < 4; i++)
        out[17 + i] = (uint8_t)(index >> (8 * i));
}

#include "frame_id.h"

#include <inttypes.h>
#include <stdio.h>

/* Reads decimal digits of [*at, end) and advances. 18 at most, so nothing overflows. */
static int read_number(const char **at, const char *end, uint64_t *out)
{
    int digits = 0;
    *out = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        if (++digits > 18)
            return 1;
        *out = *out * 10 + (uint64_t)(**at - '0');
    }
    return digits == 0;
}

void frame_id_write(char out[FRAME_ID_BYTES], const struct frame_info *info)
{
    snprintf(out, FRAME_ID_BYTES, "%" PRIu64 "@%" PRIu64, info->id, info->time_ms);
}

int frame_id_find(size_t *index, const struct review *review, const char *text, size_t length)
{
    const char *at = text, *end = text + length;
    uint64_t id, time_ms;
    if (read_number(&at, end, &id) || at == end || *at++ != '@' ||
        read_number(&at, end, &time_ms) || at != end)
        return FRAME_ID_FORM;
    for (size_t i = 0; i < review_count(review); i++) {
        const struct frame_info *info = &review_frame(review, i)->info;
        if (info->id == id && info->time_ms == time_ms) {
            *index = i;
            return 0;
        }
    }
    const struct review_frame *oldest = review_frame(review, 0);
    return oldest && time_ms >= oldest->info.time_ms ? FRAME_ID_UNKNOWN : FRAME_ID_GONE;
}

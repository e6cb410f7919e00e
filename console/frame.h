/*
 * What an agent sends in binary frames: 21 bytes of header, then content (docs/wire.md, "Binary
 * frames"). Pure functions; callable from any thread.
 */
#ifndef CONSOLE_FRAME_H
#define CONSOLE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_BYTES 21
#define FRAME_MAX          (FRAME_HEADER_BYTES + 262144)

enum frame_kind {
    FRAME_CHUNK = 1,
    FRAME_DIGESTS = 2,
};

enum frame_outcome {
    FRAME_MALFORMED = 1,
};

struct frame {
    enum frame_kind kind;
    uint8_t ticket[16];
    uint32_t index;         /* of the chunk, or of the first digest */
    const uint8_t *content; /* points into the input */
    size_t length;          /* of content, 1 to 262,144; a multiple of 32 for digests */
};

/*
 * Decodes the `length` bytes at `data`. Returns 0 or FRAME_MALFORMED, when `out` is undefined.
 * `out->content` lives as long as `data`. Whether ticket, index and length fit an upload is for
 * upload.h to say.
 */
int frame_parse(struct frame *out, const uint8_t *data, size_t length);

#endif

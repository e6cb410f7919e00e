/*
 * Binary frames: 21 bytes of header, then content (docs/wire.md, "Binary frames" of bundles and of
 * commands). Pure functions; callable from any thread.
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
    FRAME_TOKEN = 16, /* only ever sent */
    FRAME_STDOUT = 17,
    FRAME_STDERR = 18,
};

enum frame_outcome {
    FRAME_MALFORMED = 1,
};

struct frame {
    enum frame_kind kind;
    uint8_t ticket[16];     /* or the token id */
    uint32_t index;         /* of the chunk, or of the first digest */
    const uint8_t *content; /* points into the input */
    size_t length;          /* of content, 1 to 262,144; a multiple of 32 for digests */
};

/*
 * Decodes the `length` bytes at `data`. Returns 0 or FRAME_MALFORMED, when `out` is undefined.
 * `out->content` lives as long as `data`. Whether id, index and length fit what is under way is for
 * upload.h and session_commands.c to say.
 */
int frame_parse(struct frame *out, const uint8_t *data, size_t length);

/* Writes the header of a frame of `kind` for this ticket or token id. */
void frame_header(uint8_t out[FRAME_HEADER_BYTES], enum frame_kind kind, const uint8_t id[16],
                  uint32_t index);

#endif

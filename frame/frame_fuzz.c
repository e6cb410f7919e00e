/* Everything in frame/ that reads what another process wrote, with hostile bytes. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "canvas.h"
#include "listing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses the reader. A record is applied twice, so that a delta can follow a key.
 */
static void fuzz_canvas(const uint8_t *data, size_t size)
{
    static struct frame_canvas *canvas;
    struct frame_info info;
    if (canvas == NULL && frame_canvas_new(&canvas) != 0)
        abort();
    /* Large pictures are legal and only cost time here. */
    if (frame_record_read(data, size, &info) != FRAME_OK ||
        (size_t)info.width * info.height > 1U << 20)
        return;
    if (info.kind == FRAME_DELTA && canvas->id != 0 && canvas->width == info.width &&
        canvas->height == info.height)
        canvas->id = info.base;
    if (frame_canvas_apply(canvas, data, size, &info) == FRAME_OK && canvas->id != info.id)
        abort();
}

static void fuzz_listing(const uint8_t *data, size_t size)
{
    struct frame_info info;
    uint32_t length;
    size_t at = 0;
    while (at < size && listing_next(data, size, &at, &info, &length) == FRAME_OK)
        if (info.title[info.title_length] != '\0' || at > size)
            abort();
}

static void fuzz_title(const uint8_t *data, size_t size)
{
    char title[FRAME_TITLE_MAX + 1];
    size_t length = frame_title_clean(title, data, size);
    if (length > FRAME_TITLE_MAX || !frame_title_valid((const uint8_t *)title, length))
        abort();
    length = frame_title_clean_latin1(title, data, size);
    if (length > FRAME_TITLE_MAX || !frame_title_valid((const uint8_t *)title, length))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0] % 3) {
    case 0:
        fuzz_canvas(data + 1, size - 1);
        break;
    case 1:
        fuzz_listing(data + 1, size - 1);
        break;
    default:
        fuzz_title(data + 1, size - 1);
        break;
    }
    return 0;
}

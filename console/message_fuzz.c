/* Whatever arrives in a text or binary frame: first byte even, text; odd, binary. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const uint8_t *data, size_t size)
{
    struct message m;
    const char *why = NULL;
    int result = message_parse(&m, (const char *)data, size, &why);
    if (result == 0 && m.type == MESSAGE_BUNDLE_BEGIN) {
        uint64_t room = (uint64_t)m.begin.chunks * MESSAGE_CHUNK_BYTES;
        if (m.begin.size > room || m.begin.size + MESSAGE_CHUNK_BYTES <= room)
            abort();
    }
    if (result == MESSAGE_MALFORMED && !why)
        abort();
}

static void check_frame(const uint8_t *data, size_t size)
{
    struct frame f;
    if (frame_parse(&f, data, size) == 0 &&
        (f.length == 0 || f.content + f.length != data + size || f.length > MESSAGE_CHUNK_BYTES))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] & 1)
        check_frame(data + 1, size - 1);
    else
        check_text(data + 1, size - 1);
    return 0;
}

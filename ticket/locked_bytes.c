#include "locked_bytes.h"

#include <errno.h>
#include <string.h>

#include "secret_memory.h"

enum { PAGE = 4096 };

static int resize(struct locked_bytes *bytes, size_t capacity)
{
    uint8_t *data = locked_alloc(capacity);
    if (!data)
        return -ENOMEM;
    if (bytes->length)
        memcpy(data, bytes->data, bytes->length);
    locked_free(bytes->data, bytes->capacity);
    bytes->data = data;
    bytes->capacity = capacity;
    return 0;
}

int locked_bytes_append(struct locked_bytes *bytes, const void *data, size_t length)
{
    if (length == 0)
        return 0;
    if (length > SIZE_MAX / 4 - bytes->length)
        return -ENOMEM;
    if (length > bytes->capacity - bytes->length) {
        size_t capacity = bytes->capacity ? bytes->capacity : 16 * PAGE;
        while (capacity < bytes->length + length)
            capacity *= 2;
        int result = resize(bytes, capacity);
        if (result)
            return result;
    }
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
    return 0;
}

int locked_bytes_reserve(struct locked_bytes *bytes, size_t capacity)
{
    if (capacity <= bytes->capacity)
        return 0;
    if (capacity > SIZE_MAX / 4)
        return -ENOMEM;
    return resize(bytes, (capacity + PAGE - 1) / PAGE * PAGE);
}

void locked_bytes_trim(struct locked_bytes *bytes)
{
    size_t pages = (bytes->length + PAGE - 1) / PAGE * PAGE;
    if (bytes->length == 0)
        locked_bytes_clear(bytes);
    else if (bytes->capacity - pages > PAGE)
        (void)resize(bytes, pages);
}

void locked_bytes_clear(struct locked_bytes *bytes)
{
    locked_free(bytes->data, bytes->capacity);
    *bytes = (struct locked_bytes){0};
}

struct locked_bytes locked_bytes_take(struct locked_bytes *from)
{
    struct locked_bytes taken = *from;
    *from = (struct locked_bytes){0};
    return taken;
}

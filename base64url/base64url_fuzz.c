/*
 * Any text, which is decoded into exactly as much memory as it may need: what is taken is what
 * encoding its bytes makes, to the last character. And any bytes: they come back.
 */
#include "base64url.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_text(const char *text, size_t length)
{
    size_t capacity = length / 4 * 3 + (length % 4 ? length % 4 - 1 : 0), used = 0;
    uint8_t *bytes = malloc(capacity + 1);
    bool taken = base64url_decode(bytes, capacity, &used, text, length);
    if (taken) {
        char *back = malloc(BASE64URL_SIZE(used));
        CHECK(used == capacity && BASE64URL_SIZE(used) == length + 1);
        base64url_encode(back, bytes, used);
        CHECK(memcmp(back, text, length) == 0);
        free(back);
    }
    CHECK(base64url_decode_exactly(bytes, capacity, text, length) == taken);
    CHECK(capacity == 0 || !base64url_decode(bytes, capacity - 1, &used, text, length));
    free(bytes);
}

static void write_bytes(const uint8_t *bytes, size_t length)
{
    size_t size = BASE64URL_SIZE(length);
    char *text = malloc(size);
    base64url_encode(text, bytes, length);
    CHECK(text[size - 1] == '\0' && strlen(text) == size - 1);
    CHECK(base64url_decode_exactly((uint8_t *)text, length, text, size - 1));
    CHECK(memcmp(text, bytes, length) == 0);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_text((const char *)data, size);
    write_bytes(data, size);
    return 0;
}

#include "jws.h"

#include <string.h>

#include "base64url.h"

#define HEADER_BEFORE "{\"alg\":\"ES256\",\"kid\":\""
#define HEADER_AFTER  "\"}"

/* Decodes one part to the front of what is left of the scratch. */
static bool decode_part(struct jws_part *out, uint8_t **scratch, size_t *left, const uint8_t *text,
                        size_t length)
{
    if (length == 0 || !base64url_decode(*scratch, *left, &out->length, (const char *)text, length))
        return false;
    out->bytes = *scratch;
    *scratch += out->length;
    *left -= out->length;
    return true;
}

bool jws_decode(struct jws *out, uint8_t *scratch, size_t capacity, const uint8_t *bytes,
                size_t length)
{
    const uint8_t *end = bytes + length;
    const uint8_t *first = memchr(bytes, '.', length);
    const uint8_t *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (!second)
        return false;
    /* A third dot is no character of base64url. */
    out->signing = (struct jws_part){bytes, (size_t)(second - bytes)};
    return decode_part(&out->header, &scratch, &capacity, bytes, (size_t)(first - bytes)) &&
           decode_part(&out->payload, &scratch, &capacity, first + 1,
                       (size_t)(second - first - 1)) &&
           decode_part(&out->signature, &scratch, &capacity, second + 1,
                       (size_t)(end - second - 1));
}

bool jws_header_is(const struct jws_part *header, const char *kid)
{
    char expected[sizeof HEADER_BEFORE + COMMAND_KID_MAX + sizeof HEADER_AFTER];
    size_t length = strnlen(kid, COMMAND_KID_MAX), used = sizeof HEADER_BEFORE - 1;
    memcpy(expected, HEADER_BEFORE, used);
    memcpy(expected + used, kid, length);
    used += length;
    memcpy(expected + used, HEADER_AFTER, sizeof HEADER_AFTER - 1);
    used += sizeof HEADER_AFTER - 1;
    return header->length == used && memcmp(header->bytes, expected, used) == 0;
}

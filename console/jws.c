#include "jws.h"

#include <string.h>

#include "base64url.h"

static bool is_digit(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static bool all_digits(const struct jws_part *part)
{
    for (size_t i = 0; i < part->length; i++) {
        if (!is_digit(part->text[i]))
            return false;
    }
    return part->length > 0;
}

bool jws_split(struct jws_part parts[3], const char *text, size_t length)
{
    for (int i = 0; i < 3; i++) {
        const char *dot = i < 2 ? memchr(text, '.', length) : text + length;
        if (!dot)
            return false;
        parts[i] = (struct jws_part){text, (size_t)(dot - text)};
        if (!all_digits(&parts[i]))
            return false;
        if (i < 2) {
            length -= parts[i].length + 1;
            text = dot + 1;
        }
    }
    return true;
}

bool jws_decode(uint8_t *out, size_t capacity, size_t *length, const struct jws_part *part)
{
    return part->length > 0 && base64url_decode(out, capacity, length, part->text, part->length);
}

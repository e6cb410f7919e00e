#include "jws.h"

#include <string.h>

#include <sodium.h>

static bool is_digit(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* libsodium's decoder takes some bytes above 127 for digits, so they are looked at first. */
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
    /* It refuses trailing bits that are not zero, and what is not whole. */
    return all_digits(part) &&
           sodium_base642bin(out, capacity, part->text, part->length, NULL, length, NULL,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0;
}

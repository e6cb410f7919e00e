#include "title.h"

#include <string.h>

/* Length of the UTF-8 character at `text`, and its code point; 0 if it is none (RFC 3629 section 4:
 * no overlong forms, no surrogates, nothing above U+10FFFF). */
static size_t decode(const uint8_t *text, size_t length, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = text[0];
    if (first < 0x80) {
        *code = first;
        return 1;
    }
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || size > length)
        return 0;
    uint32_t value = first & (0x7fU >> size);
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (text[i] & 0x3fU);
    }
    if (value < least[size] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *code = value;
    return size;
}

static int allowed(uint32_t code)
{
    if (code < 0x20 || (code >= 0x7f && code < 0xa0))
        return 0;
    if (code == 0x2028 || code == 0x2029)
        return 0;
    return !(code >= 0x202a && code <= 0x202e) && !(code >= 0x2066 && code <= 0x2069);
}

static size_t append(char *out, size_t used, const void *text, size_t length)
{
    if (length > FRAME_TITLE_MAX - used)
        return 0;
    memcpy(out + used, text, length);
    return length;
}

size_t frame_title_clean(char *out, const uint8_t *text, size_t length)
{
    size_t used = 0;
    for (size_t at = 0; at < length;) {
        uint32_t code = 0;
        size_t size = decode(text + at, length - at, &code);
        size_t added = size != 0 && allowed(code) ? append(out, used, text + at, size)
                                                  : append(out, used, "\xef\xbf\xbd", 3);
        if (added == 0)
            break;
        used += added;
        at += size != 0 ? size : 1;
    }
    out[used] = '\0';
    return used;
}

size_t frame_title_clean_latin1(char *out, const uint8_t *text, size_t length)
{
    size_t used = 0;
    for (size_t at = 0; at < length; at++) {
        uint8_t wide[2] = {(uint8_t)(0xc0 | text[at] >> 6), (uint8_t)(0x80 | (text[at] & 0x3f))};
        size_t added;
        if (!allowed(text[at]))
            added = append(out, used, "\xef\xbf\xbd", 3);
        else if (text[at] < 0x80)
            added = append(out, used, text + at, 1);
        else
            added = append(out, used, wide, 2);
        if (added == 0)
            break;
        used += added;
    }
    out[used] = '\0';
    return used;
}

int frame_title_valid(const uint8_t *text, size_t length)
{
    if (length > FRAME_TITLE_MAX)
        return 0;
    for (size_t at = 0; at < length;) {
        uint32_t code = 0;
        size_t size = decode(text + at, length - at, &code);
        if (size == 0 || !allowed(code))
            return 0;
        at += size;
    }
    return 1;
}

#include "base64url.h"

static const char alphabet[64] = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"};

#define BAD 128 /* a bit of no value, which OR keeps */

/* By character, 16 a row. */
// clang-format off
static const uint8_t values[256] = {
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,  62, BAD, BAD,
     52,  53,  54,  55,  56,  57,  58,  59,  60,  61, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD,   0,   1,   2,   3,   4,   5,   6,   7,   8,   9,  10,  11,  12,  13,  14,
     15,  16,  17,  18,  19,  20,  21,  22,  23,  24,  25, BAD, BAD, BAD, BAD,  63,
    BAD,  26,  27,  28,  29,  30,  31,  32,  33,  34,  35,  36,  37,  38,  39,  40,
     41,  42,  43,  44,  45,  46,  47,  48,  49,  50,  51, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
};
// clang-format on

void base64url_encode(char *out, const uint8_t *bytes, size_t length)
{
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < length; i++) {
        bits = bits << 8 | bytes[i];
        for (held += 8; held >= 6; held -= 6)
            *out++ = alphabet[bits >> (held - 6) & 63];
    }
    if (held)
        *out++ = alphabet[bits << (6 - held) & 63];
    *out = '\0';
}

/* The last two or three characters: one or two bytes, and unused bits that must be zero. */
static bool decode_rest(uint8_t *out, const uint8_t *in, size_t count)
{
    uint8_t a = values[in[0]], b = values[in[1]], c = count == 3 ? values[in[2]] : 0;
    if ((a | b | c) & BAD)
        return false;
    out[0] = (uint8_t)(a << 2 | b >> 4);
    if (count == 2)
        return (b & 0x0f) == 0;
    out[1] = (uint8_t)(b << 4 | c >> 2);
    return (c & 0x03) == 0;
}

bool base64url_decode(uint8_t *out, size_t capacity, size_t *used, const char *text, size_t length)
{
    const uint8_t *in = (const uint8_t *)text;
    size_t groups = length / 4, rest = length % 4;
    size_t bytes = groups * 3 + (rest ? rest - 1 : 0);
    uint8_t seen = 0;
    if (rest == 1 || bytes > capacity)
        return false;
    for (size_t i = 0; i < groups; i++, in += 4, out += 3) {
        uint8_t a = values[in[0]], b = values[in[1]], c = values[in[2]], d = values[in[3]];
        seen |= a | b | c | d;
        out[0] = (uint8_t)(a << 2 | b >> 4);
        out[1] = (uint8_t)(b << 4 | c >> 2);
        out[2] = (uint8_t)(c << 6 | d);
    }
    *used = bytes;
    return !(seen & BAD) && (rest == 0 || decode_rest(out, in, rest));
}

bool base64url_decode_exactly(uint8_t *out, size_t size, const char *text, size_t length)
{
    size_t used;
    return base64url_decode(out, size, &used, text, length) && used == size;
}

#include "encoding.h"

static const char alphabet[2][65] = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

void encoding_base64(char *out, const uint8_t *bytes, size_t length, enum encoding_alphabet which)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t written = 0;

    for (size_t i = 0; i < length; i++) {
        bits = bits << 8 | bytes[i];
        for (held += 8; held >= 6; held -= 6)
            out[written++] = alphabet[which][bits >> (held - 6) & 63];
    }
    if (held > 0)
        out[written++] = alphabet[which][bits << (6 - held) & 63];
    while (which == ENCODING_STANDARD && written % 4 != 0)
        out[written++] = '=';
    out[written] = '\0';
}

static int sextet(char c, enum encoding_alphabet which)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == alphabet[which][62])
        return 62;
    return c == alphabet[which][63] ? 63 : -1;
}

bool encoding_base64_read(uint8_t *out, size_t length, const char *text, size_t text_length,
                          enum encoding_alphabet which)
{
    size_t digits = (length * 8 + 5) / 6;
    size_t padding = which == ENCODING_STANDARD ? (4 - digits % 4) % 4 : 0;
    uint32_t bits = 0;
    unsigned held = 0;
    size_t read = 0;

    if (text_length != digits + padding)
        return false;
    for (size_t i = 0; i < digits; i++) {
        int value = sextet(text[i], which);

        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[read++] = (uint8_t)(bits >> held);
        }
    }
    for (size_t i = digits; i < text_length; i++)
        if (text[i] != '=')
            return false;
    return (bits & ((1u << held) - 1)) == 0;
}

void encoding_hex(char *out, const uint8_t *bytes, size_t length)
{
    static const char digit[] = "0123456789abcdef";

    for (size_t i = 0; i < length; i++) {
        out[2 * i] = digit[bytes[i] >> 4];
        out[2 * i + 1] = digit[bytes[i] & 15];
    }
    out[2 * length] = '\0';
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool encoding_hex_read(uint8_t *out, size_t length, const char *text, size_t text_length)
{
    if (text_length != length * 2)
        return false;
    for (size_t i = 0; i < length; i++) {
        int high = nibble(text[2 * i]);
        int low = nibble(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

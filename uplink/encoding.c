#include "encoding.h"

#include <openssl/evp.h>

void encoding_base64(char *out, const uint8_t *bytes, size_t length)
{
    EVP_EncodeBlock((unsigned char *)out, bytes, (int)length);
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

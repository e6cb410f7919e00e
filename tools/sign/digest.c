#include "digest.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

void digest_of(uint8_t out[DIGEST_SIZE], const void *bytes, size_t length)
{
    if (EVP_Digest(bytes, length, out, NULL, EVP_sha256(), NULL) != 1)
        abort();
}

void digest_hex(char *out, const uint8_t *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
}

bool digest_read_hex(uint8_t *out, size_t length, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    if (strlen(text) != 2 * length)
        return false;
    for (size_t i = 0; i < length; i++) {
        const char *high = strchr(digits, text[2 * i]), *low = strchr(digits, text[2 * i + 1]);
        if (!high || !low)
            return false;
        out[i] = (uint8_t)((high - digits) << 4 | (low - digits));
    }
    return true;
}

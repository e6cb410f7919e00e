#include "pin.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "encoding.h"

#define SEPARATORS " \t,"

int pins_read(struct pins *pins, const char *text)
{
    memset(pins, 0, sizeof *pins);
    if (!text)
        return 0;
    for (text += strspn(text, SEPARATORS); *text; text += strspn(text, SEPARATORS)) {
        size_t length = strcspn(text, SEPARATORS);

        if (pins->count == PINS_MAX || !encoding_base64_read(pins->digest[pins->count], PIN_SIZE,
                                                             text, length, ENCODING_STANDARD))
            return -EINVAL;
        pins->count++;
        text += length;
    }
    return 0;
}

int pin_of(uint8_t out[PIN_SIZE], X509 *certificate)
{
    unsigned char *der = NULL;
    int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    unsigned size = 0;
    int ok;

    if (length <= 0)
        return -EIO;
    ok = EVP_Digest(der, (size_t)length, out, &size, EVP_sha256(), NULL);
    OPENSSL_free(der);
    return ok && size == PIN_SIZE ? 0 : -EIO;
}

static bool is_pinned(const struct pins *pins, const uint8_t digest[PIN_SIZE])
{
    for (size_t i = 0; i < pins->count; i++)
        if (memcmp(pins->digest[i], digest, PIN_SIZE) == 0)
            return true;
    return false;
}

bool pins_match(const struct pins *pins, STACK_OF(X509) * chain)
{
    uint8_t digest[PIN_SIZE];

    if (pins->count == 0)
        return true;
    for (int i = 0; chain && i < sk_X509_num(chain); i++)
        if (pin_of(digest, sk_X509_value(chain, i)) == 0 && is_pinned(pins, digest))
            return true;
    return false;
}

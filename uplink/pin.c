#include "pin.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

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

bool pin_matches(const uint8_t pin[PIN_SIZE], STACK_OF(X509) * chain)
{
    uint8_t digest[PIN_SIZE];

    for (int i = 0; chain && i < sk_X509_num(chain); i++)
        if (pin_of(digest, sk_X509_value(chain, i)) == 0 && memcmp(pin, digest, PIN_SIZE) == 0)
            return true;
    return false;
}

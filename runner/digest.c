#include "digest.h"

#include <string.h>

/* Deprecated since OpenSSL 3.0 for its providers, which would be thousands of functions more. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct digest), "it fits");
_Static_assert(_Alignof(SHA256_CTX) <= _Alignof(struct digest), "it is aligned");

static SHA256_CTX *context_of(struct digest *digest)
{
    return (SHA256_CTX *)(void *)digest->state;
}

void digest_begin(struct digest *digest)
{
    SHA256_Init(context_of(digest));
}

void digest_add(struct digest *digest, const void *bytes, size_t length)
{
    SHA256_Update(context_of(digest), bytes, length);
}

void digest_value(const struct digest *digest, uint8_t out[DIGEST_SIZE])
{
    struct digest copy = *digest;
    SHA256_Final(out, context_of(&copy));
}

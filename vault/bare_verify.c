#include "bare_verify.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <time.h>

#define CHECK(condition) ((condition) ? (void)0 : abort())

static EVP_PKEY_CTX *context;
static uint8_t digest[32], signature[80];
static size_t signature_length = sizeof signature;

uint64_t bare_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* By Shell; glibc's qsort asks for the machine's memory, which no filter allows. */
uint64_t bare_median(uint64_t *values, size_t count)
{
    for (size_t gap = count / 2; gap > 0; gap /= 2)
        for (size_t i = gap; i < count; i++) {
            uint64_t value = values[i];
            size_t at = i;
            for (; at >= gap && values[at - gap] > value; at -= gap)
                values[at] = values[at - gap];
            values[at] = value;
        }
    return values[count / 2];
}

void bare_prepare(void)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    CHECK(pkey && RAND_bytes(digest, sizeof digest) == 1);
    EVP_PKEY_CTX *signing = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    CHECK(EVP_PKEY_sign_init(signing) == 1);
    CHECK(EVP_PKEY_sign(signing, signature, &signature_length, digest, sizeof digest) == 1);
    EVP_PKEY_CTX_free(signing);
    context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    CHECK(EVP_PKEY_verify_init(context) == 1);
    EVP_PKEY_free(pkey);
    bare_verify_ns();
}

uint64_t bare_verify_ns(void)
{
    uint64_t start = bare_now_ns();
    CHECK(EVP_PKEY_verify(context, signature, signature_length, digest, sizeof digest) == 1);
    return bare_now_ns() - start;
}

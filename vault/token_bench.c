/*
 * How long a token takes to be verified, beside libcrypto's verification of one digest: ./run
 * bench.
 *
 * usage: token_bench [ROUNDS]
 *
 * Prints a JSON object of nanoseconds, each the median of ROUNDS (2000) single verifications, which
 * take turns, so that what else the machine does meets all of them alike.
 */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "token.h"
#include "token_sample.h"

#define CHECK(condition) ((condition) ? (void)0 : abort())
#define ROUNDS_MAX       100000

static struct token token;
static char small[TOKEN_BYTES_MAX + 1], large[TOKEN_BYTES_MAX + 1];
static uint64_t bare_ns[ROUNDS_MAX], small_ns[ROUNDS_MAX], large_ns[ROUNDS_MAX];

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static uint64_t median(uint64_t *values, size_t count)
{
    qsort(values, count, sizeof *values, ascending);
    return values[count / 2];
}

/* A key of its own, a signature of a digest, and a context that is prepared to verify it. */
static struct {
    EVP_PKEY_CTX *context;
    uint8_t digest[32], signature[80];
    size_t length;
} bare;

static void prepare_bare(void)
{
    bare.length = sizeof bare.signature;
    randombytes_buf(bare.digest, sizeof bare.digest);
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    EVP_PKEY_CTX *signing = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    CHECK(EVP_PKEY_sign_init(signing) == 1);
    CHECK(EVP_PKEY_sign(signing, bare.signature, &bare.length, bare.digest, 32) == 1);
    EVP_PKEY_CTX_free(signing);
    bare.context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    CHECK(EVP_PKEY_verify_init(bare.context) == 1);
    EVP_PKEY_free(pkey);
}

static size_t prepare_large(void)
{
    static char payload[TOKEN_PAYLOAD_MAX];
    const char *base = sample_payload("diagnostic");
    size_t used = strlen(base) - 1, fill = 195000;
    memcpy(payload, base, used);
    used += (size_t)sprintf(payload + used, ",\"stdin\":\"");
    memset(payload + used, 'A', fill);
    memcpy(payload + used + fill, "\"}", 2);
    return sample_sign(large, SAMPLE_DIAGNOSTIC, payload, used + fill + 2);
}

static uint64_t time_bare(void)
{
    uint64_t start = now_ns();
    CHECK(EVP_PKEY_verify(bare.context, bare.signature, bare.length, bare.digest, 32) == 1);
    return now_ns() - start;
}

static uint64_t time_token(struct token_verifier *verifier, const char *text, size_t length)
{
    uint64_t start = now_ns();
    CHECK(token_verify(verifier, &token, (const uint8_t *)text, length, 0) ==
          ipc_DECISION_ACCEPTED);
    return now_ns() - start;
}

int main(int argc, char **argv)
{
    struct command_keys table;
    struct token_verifier *verifier;
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000;
    CHECK(sodium_init() >= 0 && rounds > 0 && rounds <= ROUNDS_MAX);
    sample_table(&table, SAMPLE_KEYS);
    CHECK(token_verifier_new(&verifier, &table) == 0);
    prepare_bare();
    const char *payload = sample_payload("diagnostic");
    size_t small_length = sample_sign(small, SAMPLE_DIAGNOSTIC, payload, strlen(payload));
    size_t large_length = prepare_large();
    for (size_t i = 0; i < rounds; i++) {
        bare_ns[i] = time_bare();
        small_ns[i] = time_token(verifier, small, small_length);
        large_ns[i] = time_token(verifier, large, large_length);
    }
    printf("{\"ecdsa_ns\":%llu,\"token_ns\":%llu,\"token_bytes\":%zu,\"large_ns\":%llu,"
           "\"large_bytes\":%zu}\n",
           (unsigned long long)median(bare_ns, rounds),
           (unsigned long long)median(small_ns, rounds), small_length,
           (unsigned long long)median(large_ns, rounds), large_length);
    token_verifier_free(verifier);
    EVP_PKEY_CTX_free(bare.context);
    return 0;
}

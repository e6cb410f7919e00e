/*
 * How long a token takes to be verified, beside libcrypto's verification of one digest: ./run
 * bench.
 *
 * usage: token_bench [ROUNDS]
 *
 * Prints a JSON object of nanoseconds, each the median of ROUNDS (2000) single verifications, which
 * take turns, so that what else the machine does meets all of them alike.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bare_verify.h"
#include "token.h"
#include "token_sample.h"

#define CHECK(condition) ((condition) ? (void)0 : abort())
#define ROUNDS_MAX       100000

static struct token token;
static char small[TOKEN_BYTES_MAX + 1], large[TOKEN_BYTES_MAX + 1];
static uint64_t bare_ns[ROUNDS_MAX], small_ns[ROUNDS_MAX], large_ns[ROUNDS_MAX];

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

static uint64_t time_token(struct token_verifier *verifier, const char *text, size_t length)
{
    uint64_t start = bare_now_ns();
    CHECK(token_verify(verifier, &token, (const uint8_t *)text, length, 0) ==
          ipc_DECISION_ACCEPTED);
    return bare_now_ns() - start;
}

int main(int argc, char **argv)
{
    struct command_keys table;
    struct token_verifier *verifier;
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000;
    CHECK(sodium_init() >= 0 && rounds > 0 && rounds <= ROUNDS_MAX);
    sample_table(&table, SAMPLE_KEYS);
    CHECK(token_verifier_new(&verifier, &table) == 0);
    bare_prepare();
    const char *payload = sample_payload("diagnostic");
    size_t small_length = sample_sign(small, SAMPLE_DIAGNOSTIC, payload, strlen(payload));
    size_t large_length = prepare_large();
    for (size_t i = 0; i < rounds; i++) {
        bare_ns[i] = bare_verify_ns();
        small_ns[i] = time_token(verifier, small, small_length);
        large_ns[i] = time_token(verifier, large, large_length);
    }
    printf("{\"ecdsa_ns\":%llu,\"token_ns\":%llu,\"token_bytes\":%zu,\"large_ns\":%llu,"
           "\"large_bytes\":%zu}\n",
           (unsigned long long)bare_median(bare_ns, rounds),
           (unsigned long long)bare_median(small_ns, rounds), small_length,
           (unsigned long long)bare_median(large_ns, rounds), large_length);
    token_verifier_free(verifier);
    return 0;
}

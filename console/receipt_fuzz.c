/*
 * Receipts and tokens. The input is taken as it is, and, since no fuzzer guesses a signature, also
 * as the payload of a receipt that is signed here.
 *
 * Checked beside the sanitizers: what is not signed by the machine is never taken; what is
 * described is printable.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "claims.h"
#include "message.h"
#include "receipt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t public_key[32], secret[64], machine[32];
static const uint8_t token[16] = {0};
static char head[256];

static void require(int condition)
{
    if (!condition)
        abort();
}

static void base64(char *out, size_t capacity, const void *data, size_t length)
{
    sodium_bin2base64(out, capacity, data, length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static void set_up(void)
{
    static const uint8_t seed[32] = {0};
    char hex[65], text[128];
    require(sodium_init() >= 0);
    crypto_sign_seed_keypair(public_key, secret, seed);
    crypto_hash_sha256(machine, public_key, sizeof(public_key));
    snprintf(text, sizeof(text), "{\"alg\":\"EdDSA\",\"kid\":\"%s\"}",
             sodium_bin2hex(hex, sizeof(hex), machine, sizeof(machine)));
    base64(head, sizeof(head), text, strlen(text));
    strcat(head, ".");
}

static void check_described(const struct receipt *r)
{
    char text[128];
    receipt_describe(text, sizeof(text), r);
    for (const char *at = text; *at; at++)
        require(*at >= 0x20 && *at < 0x7f);
}

static void as_payload(const uint8_t *data, size_t size)
{
    char text[2 * MESSAGE_RECEIPT_MAX];
    uint8_t signature[64];
    struct receipt r;
    strcpy(text, head);
    size_t used = strlen(text);
    base64(text + used, sizeof(text) - used, data, size);
    crypto_sign_detached(signature, NULL, (const uint8_t *)text, strlen(text), secret);
    strcat(text, ".");
    used = strlen(text);
    base64(text + used, sizeof(text) - used, signature, sizeof(signature));
    if (receipt_check(&r, text, machine, public_key, token) == 0)
        check_described(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct receipt r;
    struct claims c;
    if (!head[0])
        set_up();
    char *text = malloc(size + 1);
    require(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    claims_read(&c, text, size);
    require(receipt_check(&r, text, machine, public_key, token) != 0);
    free(text);
    if (size <= MESSAGE_RECEIPT_MAX)
        as_payload(data, size);
    return 0;
}

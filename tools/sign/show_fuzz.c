/*
 * libFuzzer: tokens and receipts as somebody hands them to an operator: what is shown is printable,
 * and nothing holds without its signature. The input is a whole compact JWS; or, where its first
 * byte is one of the three below, a payload that is put into one, since signatures cannot be
 * guessed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64url.h"
#include "receipt.h"
#include "show.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
    if (!condition)
        abort();
}

static bool shown_with(const char *text, size_t length, const struct command_keys *keys)
{
    char *out = NULL;
    size_t out_length = 0;
    FILE *memory = open_memstream(&out, &out_length);
    must(memory != NULL);
    bool right = show_token(memory, text, length, keys, UINT64_C(1790000000));
    fclose(memory);
    for (size_t i = 0; i < out_length; i++)
        must(out[i] == '\n' || (out[i] >= ' ' && out[i] <= '~'));
    must(right || strstr(out, "REFUSED") || keys);
    free(out);
    return right;
}

/* A JWS of this payload with a signature that is nobody's. */
static char *wrap(const char *header, const uint8_t *payload, size_t length)
{
    uint8_t signature[64] = {1};
    size_t head = BASE64URL_SIZE(strlen(header)) - 1, body = BASE64URL_SIZE(length) - 1;
    char *text = malloc(head + body + BASE64URL_SIZE(sizeof(signature)) + 2);
    must(text != NULL);
    base64url_encode(text, (const uint8_t *)header, strlen(header));
    text[head] = '.';
    base64url_encode(text + head + 1, payload, length);
    text[head + 1 + body] = '.';
    base64url_encode(text + head + body + 2, signature, sizeof(signature));
    return text;
}

/* RFC 8032 section 7.1, test 1; of a key of low order everybody could sign. */
static const uint8_t key[32] = {0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe,
                                0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6,
                                0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a};

static void check(const char *text, size_t length)
{
    static struct command_keys none; /* no key: no signature can hold */
    struct jws jws;
    bool receipt = jws_read(&jws, text, length) == NULL && jws.kind == JWS_RECEIPT;
    shown_with(text, length, NULL);
    must(!shown_with(text, length, &none) || receipt);
    if (receipt) {
        struct receipt read;
        must(!key_verify_ed25519(key, jws.signature, jws.input, jws.input_length));
        if (receipt_read(&read, &jws) == NULL) {
            must(strcmp(read.machine, jws.kid) == 0);
            must(strcmp(read.decision, "run") != 0 || read.end);
            receipt_free(&read);
        }
    }
    jws_free(&jws);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const headers[] = {
        "{\"alg\":\"ES256\",\"kid\":\"ops\"}",
        "{\"alg\":\"EdDSA\",\"kid\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\"}"};
    char *text;
    if (size > 1 && data[0] < 2) {
        text = wrap(headers[data[0]], data + 1, size - 1);
    } else if (size > 1 && data[0] == 2) { /* countersigned */
        char *inner = wrap(headers[0], data + 1, size - 1);
        text = wrap(headers[0], (uint8_t *)inner, strlen(inner));
        free(inner);
    } else {
        text = malloc(size + 1);
        must(text != NULL);
        memcpy(text, data, size);
        text[size] = '\0';
    }
    check(text, size > 1 && data[0] <= 2 ? strlen(text) : size);
    free(text);
    return 0;
}

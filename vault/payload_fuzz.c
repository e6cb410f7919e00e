/*
 * What a signed token may say, were its signer hostile: every signature is taken for right here, so
 * that payloads are reached. The input's first byte says who signs (low bits), and whether the
 * customer's key signs the token once more (high bit); the rest is the payload.
 *
 * What is accepted must be an order that a runner reads back, of bounded, terminated texts, for a
 * profile that its key may sign for.
 */
#include "token.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "es256.h"
#include "token_sample.h"
#include "words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
bool __wrap_es256_verify(struct es256_key *key, const void *bytes, size_t length,
                         const uint8_t signature[ES256_SIGNATURE_SIZE]);

#define CHECK(condition) ((condition) ? (void)0 : abort())
#define TWICE            0x80
#define REVOKED          0x40

static struct command_keys table;
static struct token_verifier *verifier;
static struct token token;
static struct order order, back;
static uint8_t written[ORDER_MAX];
static char once[TOKEN_BYTES_MAX * 2], twice[TOKEN_BYTES_MAX * 4];

/* In token.c; the known answers of es256_start() are still verified in earnest. */
bool __wrap_es256_verify(struct es256_key *key, const void *bytes, size_t length,
                         const uint8_t signature[ES256_SIGNATURE_SIZE])
{
    (void)key, (void)bytes, (void)length, (void)signature;
    return true;
}

static void start(void)
{
    if (verifier)
        return;
    CHECK(sodium_init() >= 0);
    sample_table(&table, SAMPLE_KEYS);
    CHECK(token_verifier_new(&verifier, &table) == 0);
}

static size_t append(char *out, size_t capacity, size_t used, const void *bytes, size_t length)
{
    sodium_bin2base64(out + used, capacity - used, bytes, length,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return used + strlen(out + used);
}

static size_t wrap(char *out, size_t capacity, uint32_t key, const void *payload, size_t length)
{
    char header[64];
    static const uint8_t signature[ES256_SIGNATURE_SIZE];
    int header_length =
        snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", table.keys[key].kid);
    size_t used = append(out, capacity, 0, header, (size_t)header_length);
    out[used++] = '.';
    used = append(out, capacity, used, payload, length);
    out[used++] = '.';
    return append(out, capacity, used, signature, sizeof signature);
}

static void check_texts(const char *const *texts, uint32_t count, uint32_t most)
{
    const char *start_of = (const char *)token.storage;
    CHECK(count <= most);
    for (uint32_t i = 0; i < count; i++) {
        CHECK(texts[i] >= start_of && texts[i] < start_of + token.used);
        CHECK(memchr(texts[i], 0, (size_t)(start_of + token.used - texts[i])));
    }
}

static void check_command(void)
{
    size_t length = strnlen(token.summary, sizeof token.summary);
    CHECK(length > 0 && length < sizeof token.summary);
    for (size_t i = 0; i < length; i++)
        CHECK(token.summary[i] >= ' ' && token.summary[i] <= '~');
    check_texts(token.audience, token.audience_count, TOKEN_AUDIENCES_MAX);
    check_texts(token.argv, token.argc, ORDER_TEXTS_MAX);
    check_texts(token.env, token.envc, TOKEN_ENV_MAX);
    CHECK(token.audience_count > 0 && token.seq > 0 && token.seq < UINT64_C(1) << 53);
    token_is_for(&token, "x", token.audience, token.audience_count);
    token_window(&token, token.exp);
    token_order(&order, &token, 1, 1);
    length = order_write(written, sizeof written, &order);
    CHECK(length > 0 && order_read(&back, written, length) == ORDER_OK);
    CHECK(back.argc == token.argc && back.envc == token.envc);
}

static void check_revocation(void)
{
    CHECK(token.revoked_count > 0 && token.revoked_count <= TOKEN_REVOKED_MAX);
    CHECK(token.revoked_mask < 1u << SAMPLE_KEYS);
    for (uint32_t i = 0; i < token.revoked_count; i++)
        CHECK(command_kid_is_valid(token.revoked_kids[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    start();
    if (size < 2 || size > TOKEN_PAYLOAD_MAX / 2)
        return 0;
    uint32_t key = (data[0] & 3) % SAMPLE_KEYS;
    const char *text = once;
    size_t length = wrap(once, sizeof once, key, data + 1, size - 1);
    if (data[0] & TWICE) {
        length = wrap(twice, sizeof twice, SAMPLE_CUSTOMER, once, length);
        text = twice;
    }
    uint8_t *copy = malloc(length);
    memcpy(copy, text, length);
    ipc_Decision decision = token_verify(verifier, &token, copy, length, data[0] & REVOKED ? 2 : 0);
    free(copy);
    if (token.known == TOKEN_COMMAND)
        check_command();
    if (token.known == TOKEN_REVOCATION)
        check_revocation();
    CHECK((decision == ipc_DECISION_REVOCATION) <= (token.known == TOKEN_REVOCATION));
    if (decision != ipc_DECISION_ACCEPTED)
        return 0;
    CHECK(token.known == TOKEN_COMMAND && token.key != SAMPLE_CUSTOMER);
    CHECK(token.profile <= table.keys[token.key].profile);
    CHECK(token.profile != ipc_PROFILE_ADMIN || data[0] & TWICE || key == SAMPLE_CUSTOMER);
    return 0;
}

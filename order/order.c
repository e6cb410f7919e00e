#include "order.h"

#include <sodium.h>
#include <string.h>

#include "order_layout.h"

_Static_assert(ORDER_TAG_SIZE == crypto_auth_hmacsha512256_BYTES, "crypto_auth");
_Static_assert(GRANT_KEY_SIZE == crypto_auth_hmacsha512256_KEYBYTES, "crypto_auth");
_Static_assert(ORDER_DIGEST_SIZE == crypto_hash_sha256_BYTES, "SHA-256");

static const char tag_context[] = "cloister/v1 order";
static const char digest_context[] = "cloister/v1 command"; /* no script or path begins so */

/* ---------------------------------------------------------------- digest and tag */

static void hash_texts(crypto_hash_sha256_state *state, const char *const *texts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        crypto_hash_sha256_update(state, (const uint8_t *)texts[i], strlen(texts[i]) + 1);
}

/* A script, or the texts of argv. */
static void hash_program(uint8_t out[ORDER_DIGEST_SIZE], const struct order *order)
{
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    if (order->script_length > 0)
        crypto_hash_sha256_update(&state, order->script, order->script_length);
    else
        hash_texts(&state, order->argv, order->argc);
    crypto_hash_sha256_final(&state, out);
}

static void hash_count(crypto_hash_sha256_state *state, uint32_t count)
{
    const uint8_t bytes[] = {(uint8_t)count, (uint8_t)(count >> 8), (uint8_t)(count >> 16),
                             (uint8_t)(count >> 24)};
    crypto_hash_sha256_update(state, bytes, sizeof bytes);
}

void order_digest(uint8_t out[ORDER_DIGEST_SIZE], const struct order *order)
{
    const uint32_t args = order->script_length > 0 ? order->argc : 0;
    hash_program(out, order);
    if (args == 0 && order->envc == 0 && order->input_length == 0)
        return;
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const uint8_t *)digest_context, sizeof digest_context);
    crypto_hash_sha256_update(&state, out, ORDER_DIGEST_SIZE);
    hash_count(&state, args);
    hash_texts(&state, order->argv, args);
    hash_count(&state, order->envc);
    hash_texts(&state, order->env, order->envc);
    crypto_hash_sha256_update(&state, order->input, order->input_length);
    crypto_hash_sha256_final(&state, out);
}

void order_tag(uint8_t tag[ORDER_TAG_SIZE], const uint8_t *bytes, size_t length,
               const uint8_t key[GRANT_KEY_SIZE])
{
    crypto_auth_hmacsha512256_state state;
    crypto_auth_hmacsha512256_init(&state, key, GRANT_KEY_SIZE);
    crypto_auth_hmacsha512256_update(&state, (const uint8_t *)tag_context, sizeof tag_context);
    crypto_auth_hmacsha512256_update(&state, bytes, length);
    crypto_auth_hmacsha512256_final(&state, tag);
    sodium_memzero(&state, sizeof state);
}

/* ---------------------------------------------------------------- writing */

/* Copies behind `*used`, if there is room. */
static bool append(uint8_t *out, size_t capacity, size_t *used, const void *from, size_t length)
{
    if (length > capacity - *used)
        return false;
    if (length > 0)
        memcpy(out + *used, from, length);
    *used += length;
    return true;
}

static bool append_texts(uint8_t *out, size_t capacity, size_t *used, const char *const *texts,
                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!append(out, capacity, used, texts[i], strlen(texts[i]) + 1))
            return false;
    return true;
}

size_t order_write(uint8_t *out, size_t capacity, const struct order *order)
{
    uint8_t digest[ORDER_DIGEST_SIZE];
    size_t used = ORDER_HEAD_SIZE;
    if (capacity > ORDER_MAX)
        capacity = ORDER_MAX;
    if (capacity < ORDER_HEAD_SIZE || !order_keeps_rules(order))
        return 0;
    if (!append_texts(out, capacity, &used, order->argv, order->argc) ||
        !append_texts(out, capacity, &used, order->env, order->envc) ||
        !append(out, capacity, &used, order->script, order->script_length) ||
        !append(out, capacity, &used, order->input, order->input_length))
        return 0;
    order_digest(digest, order);
    order_write_head(out, order, digest);
    return used;
}

/* ---------------------------------------------------------------- reading */

enum order_outcome order_read(struct order *out, const uint8_t *bytes, size_t length)
{
    uint8_t digest[ORDER_DIGEST_SIZE];
    if (order_parse(out, bytes, length) != ORDER_OK)
        return ORDER_MALFORMED;
    order_digest(digest, out);
    return memcmp(digest, out->digest, sizeof digest) == 0 ? ORDER_OK : ORDER_MALFORMED;
}

enum order_outcome order_accept(struct order *out, const uint8_t *bytes, size_t length,
                                const uint8_t tag[ORDER_TAG_SIZE], const struct grant *grant)
{
    uint8_t wanted[ORDER_TAG_SIZE];
    memset(out, 0, sizeof *out);
    order_tag(wanted, bytes, length, grant->key);
    int difference = sodium_memcmp(wanted, tag, sizeof wanted);
    sodium_memzero(wanted, sizeof wanted);
    if (grant->magic != GRANT_MAGIC || difference != 0)
        return ORDER_FORGED;
    enum order_outcome outcome = order_read(out, bytes, length);
    if (outcome != ORDER_OK)
        return outcome;
    if (out->slot != grant->slot || out->generation != grant->generation ||
        out->profile != grant->profile || memcmp(out->digest, grant->digest, 32) != 0)
        return ORDER_MISPLACED;
    return ORDER_OK;
}

const char *order_outcome_name(enum order_outcome outcome)
{
    switch (outcome) {
    case ORDER_OK:
        return "good";
    case ORDER_MALFORMED:
        return "malformed";
    case ORDER_FORGED:
        return "not the vault's";
    case ORDER_MISPLACED:
        return "not for this runner";
    }
    return "unknown";
}

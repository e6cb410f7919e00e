#include "age_format.h"

#include <sodium.h>
#include <string.h>

#include "bech32.h"
#include "hkdf.h"

static const char recipient_prefix[] = "age";
static const char identity_prefix[] = "age-secret-key-";

int age_recipient_parse(struct age_recipient *out, const char *text)
{
    int result = bech32_decode(text, recipient_prefix, out->key, sizeof(out->key));
    if (result)
        return result;
    /* crypto_scalarmult refuses exactly those points whose product is zero. */
    uint8_t probe[32] = {1}, product[32];
    if (crypto_scalarmult(product, probe, out->key) == 0)
        return 0;
    memset(out->key, 0, sizeof(out->key));
    return BECH32_CHARACTER;
}

void age_recipient_format(char out[AGE_RECIPIENT_TEXT], const struct age_recipient *recipient)
{
    bech32_encode(out, AGE_RECIPIENT_TEXT, recipient_prefix, recipient->key,
                  sizeof(recipient->key));
}

int age_identity_parse(struct age_identity *out, const char *text)
{
    return bech32_decode(text, identity_prefix, out->key, sizeof(out->key));
}

void age_identity_recipient(struct age_recipient *out, const struct age_identity *identity)
{
    crypto_scalarmult_base(out->key, identity->key);
}

void age_wrap_key(uint8_t out[32], const uint8_t shared_secret[32], const uint8_t share[32],
                  const uint8_t recipient[32])
{
    static const char info[] = AGE_VERSION_LINE "/X25519";
    uint8_t salt[64];
    memcpy(salt, share, 32);
    memcpy(salt + 32, recipient, 32);
    hkdf_sha256(out, shared_secret, 32, salt, sizeof(salt), (const uint8_t *)info,
                sizeof(info) - 1);
}

void age_header_mac(uint8_t out[AGE_MAC_BYTES], const uint8_t file_key[AGE_FILE_KEY_BYTES],
                    const void *header, size_t length)
{
    uint8_t key[32];
    hkdf_sha256(key, file_key, AGE_FILE_KEY_BYTES, NULL, 0, (const uint8_t *)"header", 6);
    crypto_auth_hmacsha256(out, header, length, key);
    sodium_memzero(key, sizeof(key));
}

void age_payload_key(uint8_t out[32], const uint8_t file_key[AGE_FILE_KEY_BYTES],
                     const uint8_t nonce[AGE_NONCE_BYTES])
{
    hkdf_sha256(out, file_key, AGE_FILE_KEY_BYTES, nonce, AGE_NONCE_BYTES,
                (const uint8_t *)"payload", 7);
}

void age_chunk_nonce(uint8_t out[12], uint64_t counter, int last)
{
    memset(out, 0, 3);
    for (int i = 0; i < 8; i++)
        out[3 + i] = (uint8_t)(counter >> (56 - 8 * i));
    out[11] = last ? 1 : 0;
}

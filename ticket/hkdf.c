#include "hkdf.h"

#include <sodium.h>

static void hmac_begin(crypto_auth_hmacsha256_state *state, const uint8_t *key, size_t length)
{
    static const uint8_t empty[1] = {0};
    crypto_auth_hmacsha256_init(state, length ? key : empty, length);
}

void hkdf_sha256(uint8_t out[HKDF_KEY_BYTES], const uint8_t *ikm, size_t ikm_length,
                 const uint8_t *salt, size_t salt_length, const uint8_t *info, size_t info_length)
{
    static const uint8_t first_block = 1;
    crypto_auth_hmacsha256_state state;
    uint8_t prk[HKDF_KEY_BYTES];

    /* Extract. An absent salt is a key of zeros, which HMAC cannot tell from an empty one. */
    hmac_begin(&state, salt, salt_length);
    crypto_auth_hmacsha256_update(&state, ikm, ikm_length);
    crypto_auth_hmacsha256_final(&state, prk);

    /* Expand, T(1) only. */
    hmac_begin(&state, prk, sizeof(prk));
    crypto_auth_hmacsha256_update(&state, info, info_length);
    crypto_auth_hmacsha256_update(&state, &first_block, 1);
    crypto_auth_hmacsha256_final(&state, out);

    sodium_memzero(prk, sizeof(prk));
    sodium_memzero(&state, sizeof(state));
}

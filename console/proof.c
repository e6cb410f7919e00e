#include "proof.h"

#include <ctype.h>
#include <string.h>

#include <sodium.h>

/* sizeof counts the NUL that ends each context. */
static const char auth_context[] = "cloister/v1 console-auth";
static const char origin_context[] = "cloister/v1 bundle-origin";
static const char fingerprint_context[] = "cloister/v1 fingerprint";

void proof_machine_id(uint8_t id[32], const uint8_t public_key[32])
{
    crypto_hash_sha256(id, public_key, 32);
}

/* RFC 4648 section 6; 20 bytes are 32 characters without padding. */
static void base32(char out[33], const uint8_t in[20])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    for (unsigned i = 0; i < 32; i++) {
        unsigned bit = i * 5, byte = bit / 8;
        unsigned pair = (unsigned)in[byte] << 8 | (byte + 1 < 20 ? in[byte + 1] : 0);
        out[i] = alphabet[pair >> (11 - bit % 8) & 31];
    }
    out[32] = '\0';
}

static void fingerprint_digits(char out[33], const uint8_t public_key[32])
{
    uint8_t hash[32];
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const uint8_t *)fingerprint_context,
                              sizeof(fingerprint_context));
    crypto_hash_sha256_update(&state, public_key, 32);
    crypto_hash_sha256_final(&state, hash);
    base32(out, hash);
}

void proof_fingerprint(char out[PROOF_FINGERPRINT_TEXT], const uint8_t public_key[32])
{
    char digits[33];
    fingerprint_digits(digits, public_key);
    for (unsigned group = 0; group < 8; group++) {
        memcpy(out + group * 5, digits + group * 4, 4);
        out[group * 5 + 4] = '-';
    }
    out[PROOF_FINGERPRINT_TEXT - 1] = '\0';
}

bool proof_fingerprint_matches(const char *typed, const uint8_t public_key[32])
{
    char digits[33], compact[33] = {0};
    size_t used = 0;
    for (; *typed; typed++) {
        if (*typed == '-' || isspace((unsigned char)*typed))
            continue;
        if (used == 32)
            return false;
        compact[used++] = (char)toupper((unsigned char)*typed);
    }
    fingerprint_digits(digits, public_key);
    return used == 32 && sodium_memcmp(compact, digits, 32) == 0;
}

bool proof_console_auth(const uint8_t signature[64], const uint8_t public_key[32], const char *host,
                        const uint8_t challenge[PROOF_CHALLENGE_BYTES],
                        const uint8_t exporter[PROOF_EXPORTER_BYTES])
{
    uint8_t text[sizeof(auth_context) + 2 + 253 + 32 + 32], *at = text;
    size_t length = strlen(host);
    if (length > 253)
        return false;
    at = mempcpy(at, auth_context, sizeof(auth_context));
    *at++ = (uint8_t)(length & 0xff);
    *at++ = (uint8_t)(length >> 8);
    at = mempcpy(at, host, length);
    at = mempcpy(at, challenge, PROOF_CHALLENGE_BYTES);
    at = mempcpy(at, exporter, PROOF_EXPORTER_BYTES);
    return crypto_sign_verify_detached(signature, text, (size_t)(at - text), public_key) == 0;
}

static uint8_t *put_u64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        *at++ = (uint8_t)(value >> (8 * i));
    return at;
}

bool proof_bundle_origin(const uint8_t signature[64], const uint8_t public_key[32],
                         const uint8_t ticket[16], const uint8_t digest[32], uint64_t size,
                         uint64_t consent_time_ms)
{
    uint8_t text[sizeof(origin_context) + 16 + 32 + 8 + 8], *at = text;
    at = mempcpy(at, origin_context, sizeof(origin_context));
    at = mempcpy(at, ticket, 16);
    at = mempcpy(at, digest, 32);
    at = put_u64(at, size);
    at = put_u64(at, consent_time_ms);
    return crypto_sign_verify_detached(signature, text, (size_t)(at - text), public_key) == 0;
}

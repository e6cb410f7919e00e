#include "machine_id.h"

#include <sodium.h>
#include <string.h>

void machine_id(uint8_t id[MACHINE_ID_SIZE], const uint8_t public_key[MACHINE_PUBLIC_KEY_SIZE])
{
    crypto_hash_sha256(id, public_key, MACHINE_PUBLIC_KEY_SIZE);
}

void machine_id_text(char text[MACHINE_ID_TEXT_SIZE], const uint8_t id[MACHINE_ID_SIZE])
{
    sodium_bin2hex(text, MACHINE_ID_TEXT_SIZE, id, MACHINE_ID_SIZE);
}

/* Writes 5 bytes as 8 base32 digits. */
static void base32(char out[8], const uint8_t in[5])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint64_t bits = 0;
    for (int i = 0; i < 5; i++)
        bits = bits << 8 | in[i];
    for (int i = 7; i >= 0; i--, bits >>= 5)
        out[i] = digits[bits & 31];
}

void machine_fingerprint(char text[MACHINE_FINGERPRINT_SIZE],
                         const uint8_t public_key[MACHINE_PUBLIC_KEY_SIZE])
{
    static const char context[] = "cloister/v1 fingerprint";
    uint8_t input[sizeof context + MACHINE_PUBLIC_KEY_SIZE], hash[crypto_hash_sha256_BYTES];
    memcpy(input, context, sizeof context);
    memcpy(input + sizeof context, public_key, MACHINE_PUBLIC_KEY_SIZE);
    crypto_hash_sha256(hash, input, sizeof input);
    char digits[8], *at = text;
    for (int i = 0; i < 20; i += 5) {
        base32(digits, hash + i);
        memcpy(at, digits, 4);
        at[4] = '-';
        memcpy(at + 5, digits + 4, 4);
        at[9] = '-';
        at += 10;
    }
    text[MACHINE_FINGERPRINT_SIZE - 1] = '\0';
}

#include "bech32.h"

#include <sodium.h>
#include <string.h>

static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

enum { CHECKSUM_LENGTH = 6 };

/* One step of the BCH code's remainder; the generator's coefficients are BIP-173's. */
static uint32_t polymod_step(uint32_t remainder, uint8_t value)
{
    static const uint32_t generator[5] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd,
                                          0x2a1462b3};
    uint32_t top = remainder >> 25;
    remainder = (remainder & 0x1ffffff) << 5 ^ value;
    for (int i = 0; i < 5; i++)
        if (top >> i & 1)
            remainder ^= generator[i];
    return remainder;
}

static uint32_t polymod_prefix(const char *prefix)
{
    uint32_t remainder = 1;
    for (const char *c = prefix; *c; c++)
        remainder = polymod_step(remainder, (uint8_t)((unsigned char)*c >> 5));
    remainder = polymod_step(remainder, 0);
    for (const char *c = prefix; *c; c++)
        remainder = polymod_step(remainder, (unsigned char)*c & 31);
    return remainder;
}

/* Copies `text` in lower case; refuses mixed case and characters outside 33..126. */
static int fold_case(const char *text, char *out, size_t length)
{
    int upper = 0, lower = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 33 || c > 126)
            return BECH32_CHARACTER;
        upper |= c >= 'A' && c <= 'Z';
        lower |= c >= 'a' && c <= 'z';
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    out[length] = '\0';
    return upper && lower ? BECH32_CASE : 0;
}

/* Turns characters into 5-bit values and checks the checksum over prefix and values. */
static int decode_values(const char *data, size_t count, const char *prefix, uint8_t *values)
{
    uint32_t remainder = polymod_prefix(prefix);
    for (size_t i = 0; i < count; i++) {
        const char *found = strchr(alphabet, data[i]);
        if (!found)
            return BECH32_CHARACTER;
        values[i] = (uint8_t)(found - alphabet);
        remainder = polymod_step(remainder, values[i]);
    }
    return remainder == 1 ? 0 : BECH32_CHECKSUM;
}

static int join_bits(const uint8_t *values, size_t count, uint8_t *out, size_t length)
{
    if (count != (length * 8 + 4) / 5)
        return BECH32_LENGTH;
    uint32_t bits = 0;
    unsigned held = 0;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        bits = (bits << 5 | values[i]) & 0xfff;
        held += 5;
        if (held >= 8) {
            held -= 8;
            out[used++] = (uint8_t)(bits >> held);
        }
    }
    return bits & ((1U << held) - 1) ? BECH32_PADDING : 0;
}

static int decode_folded(const char *text, size_t length, const char *prefix, uint8_t *out,
                         size_t out_length)
{
    const char *separator = strrchr(text, '1');
    if (!separator)
        return BECH32_CHARACTER;
    size_t prefix_length = (size_t)(separator - text);
    if (prefix_length != strlen(prefix) || memcmp(text, prefix, prefix_length) != 0)
        return BECH32_PREFIX;
    size_t count = length - prefix_length - 1;
    if (count < CHECKSUM_LENGTH)
        return BECH32_LENGTH;
    uint8_t values[BECH32_MAX];
    int result = decode_values(separator + 1, count, prefix, values);
    if (!result)
        result = join_bits(values, count - CHECKSUM_LENGTH, out, out_length);
    sodium_memzero(values, sizeof(values));
    return result;
}

int bech32_decode(const char *text, const char *prefix, uint8_t *out, size_t length)
{
    char folded[BECH32_MAX + 1];
    size_t text_length = strnlen(text, BECH32_MAX + 1);
    memset(out, 0, length);
    if (text_length > BECH32_MAX)
        return BECH32_LENGTH;
    int result = fold_case(text, folded, text_length);
    if (!result)
        result = decode_folded(folded, text_length, prefix, out, length);
    sodium_memzero(folded, sizeof(folded));
    if (result)
        sodium_memzero(out, length);
    return result;
}

/* The five bits from bit `bit` on, most significant first; past the end they are zero. */
static uint8_t five_bits(const uint8_t *bytes, size_t length, size_t bit)
{
    uint32_t pair = (uint32_t)bytes[bit / 8] << 8;
    if (bit / 8 + 1 < length)
        pair |= bytes[bit / 8 + 1];
    return pair >> (11 - bit % 8) & 31;
}

int bech32_encode(char *out, size_t capacity, const char *prefix, const uint8_t *bytes,
                  size_t length)
{
    size_t prefix_length = strlen(prefix);
    if (prefix_length > BECH32_MAX || length > BECH32_MAX)
        return BECH32_LENGTH;
    size_t total = prefix_length + 1 + (length * 8 + 4) / 5 + CHECKSUM_LENGTH;
    if (total > BECH32_MAX || total >= capacity)
        return BECH32_LENGTH;
    memcpy(out, prefix, prefix_length);
    char *at = out + prefix_length;
    *at++ = '1';
    uint32_t remainder = polymod_prefix(prefix);
    for (size_t bit = 0; bit < length * 8; bit += 5) {
        uint8_t value = five_bits(bytes, length, bit);
        remainder = polymod_step(remainder, value);
        *at++ = alphabet[value];
    }
    for (int i = 0; i < CHECKSUM_LENGTH; i++)
        remainder = polymod_step(remainder, 0);
    remainder ^= 1;
    for (int i = 0; i < CHECKSUM_LENGTH; i++)
        *at++ = alphabet[remainder >> 5 * (5 - i) & 31];
    *at = '\0';
    return 0;
}

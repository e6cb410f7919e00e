#include "token_sample.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "token.h"

#define CHECK(condition) ((condition) ? (void)0 : abort())

static const struct {
    const char *kid;
    uint32_t profile, flags;
    uint8_t scalar; /* every byte of the private key */
} samples[SAMPLE_KEYS] = {
    [SAMPLE_DIAGNOSTIC] = {"ops-1", ipc_PROFILE_DIAGNOSTIC, 0, 0x11},
    [SAMPLE_ADMIN] = {"ops-2", ipc_PROFILE_ADMIN, COMMAND_KEY_REVOKES, 0x22},
    [SAMPLE_CUSTOMER] = {"customer", ipc_PROFILE_NONE, COMMAND_KEY_COUNTERSIGNS, 0x33},
};

/* The uncompressed point of a private key. */
static void point_of(uint8_t out[65], const BIGNUM *scalar)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *point = EC_POINT_new(group);
    CHECK(EC_POINT_mul(group, point, scalar, NULL, NULL, NULL) == 1);
    CHECK(EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, out, 65, NULL) == 65);
    EC_POINT_free(point);
    EC_GROUP_free(group);
}

static BIGNUM *scalar_of(enum sample_key key)
{
    uint8_t bytes[32];
    memset(bytes, samples[key].scalar, sizeof bytes);
    return BN_bin2bn(bytes, sizeof bytes, NULL);
}

void sample_table(struct command_keys *out, uint32_t count)
{
    memset(out, 0, sizeof *out);
    memcpy(out->magic, COMMAND_KEYS_MAGIC, sizeof out->magic);
    out->count = count;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t point[65];
        BIGNUM *scalar = scalar_of(i);
        point_of(point, scalar);
        BN_free(scalar);
        memcpy(out->keys[i].kid, samples[i].kid, strlen(samples[i].kid));
        memcpy(out->keys[i].point, point + 1, sizeof out->keys[i].point);
        out->keys[i].profile = samples[i].profile;
        out->keys[i].flags = samples[i].flags;
    }
}

static EVP_PKEY *private_key(enum sample_key key)
{
    uint8_t point[65], little[32];
    char group[] = "prime256v1";
    BIGNUM *scalar = scalar_of(key);
    point_of(point, scalar);
    CHECK(BN_bn2lebinpad(scalar, little, sizeof little) == sizeof little);
    BN_free(scalar);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, little, sizeof little),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    CHECK(EVP_PKEY_fromdata_init(context) == 1);
    CHECK(EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, params) == 1);
    EVP_PKEY_CTX_free(context);
    return pkey;
}

static void sign(uint8_t out[64], enum sample_key key, const char *text, size_t length)
{
    uint8_t der[80];
    const uint8_t *at = der;
    size_t der_length = sizeof der;
    EVP_PKEY *pkey = private_key(key);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    CHECK(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, pkey) == 1);
    CHECK(EVP_DigestSign(context, der, &der_length, (const uint8_t *)text, length) == 1);
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)der_length);
    CHECK(BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, 32) == 32);
    CHECK(BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + 32, 32) == 32);
    ECDSA_SIG_free(signature);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pkey);
}

/* Appends base64url and its NUL. */
static size_t append(char *out, size_t used, const void *bytes, size_t length)
{
    sodium_bin2base64(out + used, TOKEN_BYTES_MAX + 1 - used, bytes, length,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return used + strlen(out + used);
}

size_t sample_sign(char *out, enum sample_key key, const void *payload, size_t length)
{
    char header[64];
    uint8_t signature[64];
    int header_length =
        snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", samples[key].kid);
    size_t used = append(out, 0, header, (size_t)header_length);
    out[used++] = '.';
    used = append(out, used, payload, length);
    sign(signature, key, out, used);
    out[used++] = '.';
    return append(out, used, signature, sizeof signature);
}

const char *sample_payload(const char *profile)
{
    static char text[512];
    snprintf(text, sizeof text,
             "{\"typ\":\"cloister-command\",\"ver\":1,\"jti\":\"00112233445566778899aabbccddeeff\","
             "\"aud\":[\"group:desks\"],\"seq\":1,\"nbf\":1790000000,\"exp\":1790003600,"
             "\"profile\":\"%s\",\"argv\":[\"/usr/bin/id\",\"-u\"]}",
             profile);
    return text;
}

/*
 * Tokens as a console may send them: any bytes. What is said to be authentic must be so in the eyes
 * of a verifier that was written apart, by libsodium's decoder and libcrypto's one-shot functions;
 * of what is not, nothing may be known.
 */
#include "token.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "token_sample.h"
#include "words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) ((condition) ? (void)0 : abort())

static struct command_keys table;
static struct token_verifier *verifier;
static struct token token;

static void start(void)
{
    if (verifier)
        return;
    CHECK(sodium_init() >= 0);
    sample_table(&table, SAMPLE_KEYS);
    CHECK(token_verifier_new(&verifier, &table) == 0);
}

static EVP_PKEY *public_key(const struct command_key *key)
{
    uint8_t point[65] = {4};
    char group[] = "P-256";
    EVP_PKEY *pkey = NULL;
    memcpy(point + 1, key->point, 64);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    CHECK(EVP_PKEY_fromdata_init(context) == 1);
    CHECK(EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) == 1);
    EVP_PKEY_CTX_free(context);
    return pkey;
}

/* Whether the last part is a signature by `key` over what stands before it. */
static int is_signed(const struct command_key *key, const uint8_t *data, size_t size)
{
    uint8_t raw[64], *der = NULL;
    size_t length = 0, dot = size;
    while (dot > 0 && data[dot - 1] != '.')
        dot--;
    if (dot < 2 ||
        sodium_base642bin(raw, sizeof raw, (const char *)data + dot, size - dot, NULL, &length,
                          NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) ||
        length != sizeof raw)
        return 0;
    ECDSA_SIG *signature = ECDSA_SIG_new();
    ECDSA_SIG_set0(signature, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL));
    int der_length = i2d_ECDSA_SIG(signature, &der);
    EVP_PKEY *pkey = public_key(key);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    CHECK(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, pkey) == 1);
    int good = EVP_DigestVerify(context, der, (size_t)der_length, data, dot - 1) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pkey);
    OPENSSL_free(der);
    ECDSA_SIG_free(signature);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t digest[crypto_hash_sha256_BYTES];
    start();
    ipc_Decision decision = token_verify(verifier, &token, data, size, 0);
    CHECK(strcmp(decision_word(decision), "unspecified") != 0);
    CHECK((token.known == TOKEN_UNKNOWN) ==
          (decision == ipc_DECISION_TOO_LONG || decision == ipc_DECISION_MALFORMED ||
           decision == ipc_DECISION_HEADER || decision == ipc_DECISION_SIGNATURE));
    if (size <= TOKEN_BYTES_MAX) {
        crypto_hash_sha256(digest, data, size);
        CHECK(memcmp(digest, token.id, sizeof token.id) == 0);
    }
    if (token.known == TOKEN_UNKNOWN)
        return 0;
    /* The outer signature, which is the customer's where the inner one is another's. */
    CHECK(is_signed(&table.keys[token.key], data, size) ||
          is_signed(&table.keys[SAMPLE_CUSTOMER], data, size));
    CHECK(token_verify(verifier, &token, data, size, 7) == ipc_DECISION_REVOKED);
    return 0;
}

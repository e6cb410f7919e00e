#include "es256.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#define DER_MAX 72 /* SEQUENCE of two INTEGERs of at most 33 bytes */

/* The order of the base point of P-256 (FIPS 186-4 appendix D.1.2.3). */
static const uint8_t order_n[32] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
};

/* RFC 6979 appendix A.2.5: the public key, and its signature of "sample" with SHA-256. */
static const uint8_t sample_point[ES256_POINT_SIZE] = {
    0x60, 0xfe, 0xd4, 0xba, 0x25, 0x5a, 0x9d, 0x31, 0xc9, 0x61, 0xeb, 0x74, 0xc6, 0x35, 0x6d, 0x68,
    0xc0, 0x49, 0xb8, 0x92, 0x3b, 0x61, 0xfa, 0x6c, 0xe6, 0x69, 0x62, 0x2e, 0x60, 0xf2, 0x9f, 0xb6,
    0x79, 0x03, 0xfe, 0x10, 0x08, 0xb8, 0xbc, 0x99, 0xa4, 0x1a, 0xe9, 0xe9, 0x56, 0x28, 0xbc, 0x64,
    0xf2, 0xf1, 0xb2, 0x0c, 0x2d, 0x7e, 0x9f, 0x51, 0x77, 0xa3, 0xc2, 0x94, 0xd4, 0x46, 0x22, 0x99,
};
static const uint8_t sample_signature[ES256_SIGNATURE_SIZE] = {
    0xef, 0xd4, 0x8b, 0x2a, 0xac, 0xb6, 0xa8, 0xfd, 0x11, 0x40, 0xdd, 0x9c, 0xd4, 0x5e, 0x81, 0xd6,
    0x9d, 0x2c, 0x87, 0x7b, 0x56, 0xaa, 0xf9, 0x91, 0xc3, 0x4d, 0x0e, 0xa8, 0x4e, 0xaf, 0x37, 0x16,
    0xf7, 0xcb, 0x1c, 0x94, 0x2d, 0x65, 0x7c, 0x41, 0xd4, 0x36, 0xc7, 0xa1, 0xb6, 0xe2, 0x9f, 0x65,
    0xf3, 0xe9, 0x00, 0xdb, 0xb9, 0xaf, 0xf4, 0x06, 0x4d, 0xc4, 0xab, 0x2f, 0x84, 0x3a, 0xcd, 0xa8,
};

struct es256_key {
    EVP_PKEY *pkey;
    EVP_PKEY_CTX *verifying; /* prepared once, used for every signature */
};

static struct {
    EVP_MD *sha256; /* fetched for good */
    EVP_MD_CTX *hash;
    bool started;
} library;

bool es256_digest(uint8_t out[ES256_DIGEST_SIZE], const void *bytes, size_t length)
{
    unsigned written = 0;
    if (EVP_DigestInit_ex2(library.hash, library.sha256, NULL) == 1 &&
        EVP_DigestUpdate(library.hash, bytes, length) == 1 &&
        EVP_DigestFinal_ex(library.hash, out, &written) == 1 && written == ES256_DIGEST_SIZE)
        return true;
    ERR_clear_error();
    memset(out, 0, ES256_DIGEST_SIZE);
    return false;
}

/* Whether 1 <= number < n. */
static bool in_range(const uint8_t number[32])
{
    static const uint8_t zero[32];
    return memcmp(number, zero, 32) != 0 && memcmp(number, order_n, 32) < 0;
}

/* Writes a positive INTEGER (X.690 section 8.3): no needless zeros in front, one before a set bit.
 */
static uint8_t *write_integer(uint8_t *out, const uint8_t number[32])
{
    size_t skip = 0;
    while (skip < 31 && number[skip] == 0)
        skip++;
    size_t sign = number[skip] >> 7, length = 32 - skip;
    *out++ = 0x02;
    *out++ = (uint8_t)(sign + length);
    if (sign)
        *out++ = 0;
    memcpy(out, number + skip, length);
    return out + length;
}

/* The form that libcrypto takes, Ecdsa-Sig-Value (RFC 3279 section 2.2.3). Returns its length. */
static size_t write_der(uint8_t out[DER_MAX], const uint8_t signature[ES256_SIGNATURE_SIZE])
{
    uint8_t *end = write_integer(out + 2, signature);
    end = write_integer(end, signature + 32);
    out[0] = 0x30;
    out[1] = (uint8_t)(end - out - 2);
    return (size_t)(end - out);
}

bool es256_verify(struct es256_key *key, const void *bytes, size_t length,
                  const uint8_t signature[ES256_SIGNATURE_SIZE])
{
    uint8_t digest[ES256_DIGEST_SIZE], der[DER_MAX];
    if (!in_range(signature) || !in_range(signature + 32) || !es256_digest(digest, bytes, length))
        return false;
    size_t der_length = write_der(der, signature);
    /* 0 is a wrong signature, less is an error: neither is right. */
    bool right = EVP_PKEY_verify(key->verifying, der, der_length, digest, sizeof digest) == 1;
    ERR_clear_error();
    return right;
}

/* Makes the EVP_PKEY, which fails off the curve. */
static int set_point(struct es256_key *key, const uint8_t point[ES256_POINT_SIZE])
{
    uint8_t uncompressed[1 + ES256_POINT_SIZE] = {0x04}; /* SEC 1 section 2.3.3 */
    char group[] = "prime256v1";
    memcpy(uncompressed + 1, point, ES256_POINT_SIZE);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, uncompressed,
                                          sizeof uncompressed),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *making = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (!making || EVP_PKEY_fromdata_init(making) != 1) {
        EVP_PKEY_CTX_free(making);
        return -ENOMEM;
    }
    bool made = EVP_PKEY_fromdata(making, &key->pkey, EVP_PKEY_PUBLIC_KEY, params) == 1;
    EVP_PKEY_CTX_free(making);
    return made ? 0 : -EINVAL;
}

static int prepare(struct es256_key *key)
{
    key->verifying = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    if (!key->verifying)
        return -ENOMEM;
    if (EVP_PKEY_public_check(key->verifying) != 1)
        return -EINVAL;
    if (EVP_PKEY_verify_init(key->verifying) != 1 ||
        EVP_PKEY_CTX_set_signature_md(key->verifying, library.sha256) != 1)
        return -ENOMEM;
    return 0;
}

int es256_key_new(struct es256_key **out, const uint8_t point[ES256_POINT_SIZE])
{
    struct es256_key *key = calloc(1, sizeof *key);
    if (!key)
        return -ENOMEM;
    int error = set_point(key, point);
    if (!error)
        error = prepare(key);
    ERR_clear_error();
    if (error) {
        es256_key_free(key);
        return error;
    }
    *out = key;
    return 0;
}

struct es256_key *es256_key_free(struct es256_key *key)
{
    if (key) {
        EVP_PKEY_CTX_free(key->verifying);
        EVP_PKEY_free(key->pkey);
        free(key);
    }
    return NULL;
}

/* A right signature is taken and a wrong one is not: whatever libcrypto needs, it has by then. */
static int known_answers(void)
{
    struct es256_key *key;
    uint8_t wrong[ES256_SIGNATURE_SIZE];
    int error = es256_key_new(&key, sample_point);
    if (error)
        return error == -EINVAL ? -EIO : error;
    memcpy(wrong, sample_signature, sizeof wrong);
    wrong[63] ^= 1;
    bool right = es256_verify(key, "sample", 6, sample_signature) &&
                 !es256_verify(key, "sample", 6, wrong) &&
                 !es256_verify(key, "simple", 6, sample_signature);
    es256_key_free(key);
    return right ? 0 : -EIO;
}

int es256_start(void)
{
    if (library.started)
        return 0;
    /* No configuration file: it could bring other implementations of what is used here. */
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
        return -EIO;
    if (!library.sha256)
        library.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!library.hash)
        library.hash = EVP_MD_CTX_new();
    if (!library.sha256 || !library.hash)
        return -ENOMEM;
    int error = known_answers();
    library.started = error == 0;
    return error;
}

/* Making, writing and using keys; key_open.c opens them. */
#include "key.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "complain.h"
#include "files.h"

#define SECURE_HEAP 65536
#define SCRYPT_N    16384
#define SCRYPT_R    8
#define SCRYPT_P    8

bool key_guard(void)
{
    struct rlimit none = {0};
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || setrlimit(RLIMIT_CORE, &none)) {
        complain(NULL, "this process cannot be kept from being dumped: %s", strerror(errno));
        return false;
    }
    if (CRYPTO_secure_malloc_initialized() || CRYPTO_secure_malloc_init(SECURE_HEAP, 16) == 1)
        return true;
    complain("64 KiB must be lockable: see 'ulimit -l'", "no memory can be locked for the key");
    return false;
}

EVP_PKEY *key_make(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (!key)
        complain(NULL, "no key can be made: %s", ERR_reason_error_string(ERR_peek_last_error()));
    return key;
}

/* Encrypts under scrypt; the caller frees. */
static X509_SIG *encrypt(PKCS8_PRIV_KEY_INFO *plain, const char *passphrase)
{
    X509_ALGOR *scheme =
        PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), NULL, 16, NULL, SCRYPT_N, SCRYPT_R, SCRYPT_P);
    X509_SIG *box =
        scheme ? PKCS8_set0_pbe(passphrase, (int)strlen(passphrase), plain, scheme) : NULL;
    if (!box)
        X509_ALGOR_free(scheme);
    return box;
}

static bool write_pem(BIO *out, EVP_PKEY *key, const char *passphrase)
{
    PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(key);
    X509_SIG *box = plain && passphrase ? encrypt(plain, passphrase) : NULL;
    bool written = passphrase ? box && PEM_write_bio_PKCS8(out, box) == 1
                              : plain && PEM_write_bio_PKCS8_PRIV_KEY_INFO(out, plain) == 1;
    X509_SIG_free(box);
    PKCS8_PRIV_KEY_INFO_free(plain);
    return written;
}

bool key_write(const char *path, EVP_PKEY *key, const char *passphrase)
{
    char *text;
    BIO *pem = BIO_new(BIO_s_secmem());
    bool written = pem && write_pem(pem, key, passphrase);
    long length = written ? BIO_get_mem_data(pem, &text) : 0;
    int error = written ? file_create(path, text, (size_t)length, 0600) : 0;
    if (!written)
        complain(NULL, "the key cannot be encoded: %s",
                 ERR_reason_error_string(ERR_peek_last_error()));
    else if (error)
        complain(error == -EEXIST ? "a key is never written over: give another --out" : NULL,
                 "%s: %s", shown(path), strerror(-error));
    BIO_free(pem);
    return written && !error;
}

/* ---- points ---- */

/* The public half of a point as OpenSSL's own provider holds it. NULL: it is none of P-256. */
static EVP_PKEY *from_point(const uint8_t point[KEY_POINT_SIZE])
{
    static char group[] = "P-256";
    uint8_t encoded[1 + KEY_POINT_SIZE] = {POINT_CONVERSION_UNCOMPRESSED};
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, encoded, sizeof(encoded)),
        OSSL_PARAM_construct_end()};
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", "provider=default");
    memcpy(encoded + 1, point, KEY_POINT_SIZE);
    if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    return key;
}

bool key_is_point(const uint8_t point[KEY_POINT_SIZE])
{
    EVP_PKEY *key = from_point(point);
    EVP_PKEY_free(key);
    return key != NULL;
}

static bool point_by_coordinates(uint8_t point[KEY_POINT_SIZE], EVP_PKEY *key)
{
    BIGNUM *x = NULL, *y = NULL;
    bool right = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x) == 1 &&
                 EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y) == 1 &&
                 BN_bn2binpad(x, point, 32) == 32 && BN_bn2binpad(y, point + 32, 32) == 32;
    BN_free(x);
    BN_free(y);
    return right;
}

/* Providers of tokens know the encoded point, and seldom its coordinates. */
static bool point_by_encoding(uint8_t point[KEY_POINT_SIZE], EVP_PKEY *key)
{
    static const char *const names[] = {OSSL_PKEY_PARAM_PUB_KEY,
                                        OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint8_t encoded[1 + KEY_POINT_SIZE];
        size_t length = 0;
        if (EVP_PKEY_get_octet_string_param(key, names[i], encoded, sizeof(encoded), &length) ==
                1 &&
            length == sizeof(encoded) && encoded[0] == POINT_CONVERSION_UNCOMPRESSED) {
            memcpy(point, encoded + 1, KEY_POINT_SIZE);
            return true;
        }
    }
    return false;
}

/* Others only encode it as a SubjectPublicKeyInfo. */
static bool point_by_info(uint8_t point[KEY_POINT_SIZE], EVP_PKEY *key)
{
    uint8_t *der = NULL;
    int length = i2d_PUBKEY(key, &der);
    const uint8_t *at = der;
    EVP_PKEY *copy = length > 0 ? d2i_PUBKEY_ex(NULL, &at, length, NULL, "provider=default") : NULL;
    bool right = copy && point_by_coordinates(point, copy);
    EVP_PKEY_free(copy);
    OPENSSL_free(der);
    return right;
}

bool key_point(uint8_t point[KEY_POINT_SIZE], EVP_PKEY *key)
{
    bool right = (point_by_coordinates(point, key) || point_by_encoding(point, key) ||
                  point_by_info(point, key)) &&
                 key_is_point(point);
    ERR_clear_error();
    if (!right)
        complain("a token must hold the public key beside the private one",
                 "the key does not tell its public point");
    return right;
}

bool key_fingerprint(char out[KEY_FINGERPRINT_SIZE], const uint8_t point[KEY_POINT_SIZE])
{
    uint8_t digest[32], *der = NULL;
    EVP_PKEY *key = from_point(point);
    int length = key ? i2d_PUBKEY(key, &der) : -1;
    bool right = length > 0 && EVP_Digest(der, (size_t)length, digest, NULL, EVP_sha256(), NULL);
    if (right) {
        memcpy(out, "SHA256:", 7);
        EVP_EncodeBlock((uint8_t *)out + 7, digest, sizeof(digest));
        out[KEY_FINGERPRINT_SIZE - 2] = '\0'; /* no padding */
    }
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    return right;
}

/* ---- signatures ---- */

static bool verify(EVP_PKEY *key, const EVP_MD *digest, const uint8_t *signature,
                   size_t signature_length, const void *bytes, size_t length)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool right = context && EVP_DigestVerifyInit(context, NULL, digest, NULL, key) == 1 &&
                 EVP_DigestVerify(context, signature, signature_length, bytes, length) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return right;
}

bool key_verify(const uint8_t point[KEY_POINT_SIZE], const uint8_t signature[KEY_SIGNATURE_SIZE],
                const void *bytes, size_t length)
{
    uint8_t *der = NULL;
    EVP_PKEY *key = from_point(point);
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature, 32, NULL), *s = BN_bin2bn(signature + 32, 32, NULL);
    bool ready = key && pair && r && s;
    if (ready) {
        ECDSA_SIG_set0(pair, r, s); /* owns them now */
    } else {
        BN_free(r);
        BN_free(s);
    }
    int der_length = ready ? i2d_ECDSA_SIG(pair, &der) : -1;
    bool right =
        der_length > 0 && verify(key, EVP_sha256(), der, (size_t)der_length, bytes, length);
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    EVP_PKEY_free(key);
    return right;
}

/* RFC 7518 section 3.4: fixed width instead of DER. */
static bool to_pair(uint8_t signature[KEY_SIGNATURE_SIZE], const uint8_t *der, size_t length)
{
    const uint8_t *at = der;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)length);
    bool right = pair && at == der + length &&
                 BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, 32) == 32 &&
                 BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + 32, 32) == 32;
    ECDSA_SIG_free(pair);
    return right;
}

/* "?provider=NAME" of where the key lies: OpenSSL would take the first provider that knows ECDSA,
 * and hand it what the key's own one lets out, the public half. */
static void prefer_own_provider(char *out, size_t capacity, EVP_PKEY *key)
{
    const OSSL_PROVIDER *provider = EVP_PKEY_get0_provider(key);
    snprintf(out, capacity, "?provider=%s",
             provider ? OSSL_PROVIDER_get0_name(provider) : "default");
}

bool key_sign(uint8_t signature[KEY_SIGNATURE_SIZE], EVP_PKEY *key, const void *bytes,
              size_t length)
{
    char query[128];
    uint8_t der[128], point[KEY_POINT_SIZE];
    size_t der_length = sizeof(der);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    prefer_own_provider(query, sizeof(query), key);
    bool made = context &&
                EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, query, key, NULL) == 1 &&
                EVP_DigestSign(context, der, &der_length, bytes, length) == 1 &&
                to_pair(signature, der, der_length);
    EVP_MD_CTX_free(context);
    if (!made) {
        const char *why = ERR_reason_error_string(ERR_peek_last_error());
        complain(NULL, "the key does not sign: %s", why ? why : "its provider does not say why");
        return false;
    }
    if (!key_point(point, key))
        return false;
    if (key_verify(point, signature, bytes, length))
        return true;
    complain("do not use it", "the signature that the key made is not its own");
    return false;
}

bool key_verify_ed25519(const uint8_t public_key[32], const uint8_t signature[64],
                        const void *bytes, size_t length)
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
    bool right = key && verify(key, NULL, signature, 64, bytes, length);
    EVP_PKEY_free(key);
    return right;
}

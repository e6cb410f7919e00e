#include "certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "log.h"
#include "pem_file.h"

#define CA_DAYS     3650
#define SERVER_DAYS 397
#define RENEW_DAYS  30

struct authority {
    EVP_PKEY *key;
    X509 *certificate;
};

static void report(const char *what)
{
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof(text));
    log_error("certificate: %s: %s", what, text);
    ERR_clear_error();
}

static bool path_in(char out[PATH_MAX], const char *directory, const char *name)
{
    return (size_t)snprintf(out, PATH_MAX, "%s/%s", directory, name) < PATH_MAX;
}

/* Reads the key in `file`, or makes it there. */
static int ensure_key(const char *file, EVP_PKEY **out)
{
    int result = pem_file_read_key(file, out);
    if (result == -ENOENT) {
        *out = EVP_EC_gen("P-256");
        result = *out ? pem_file_write_key(file, *out) : -EIO;
        if (!result)
            log_notice("made %s", file);
    }
    if (result)
        log_error("%s: %s", file, strerror(-result));
    return result;
}

static bool add_extension(X509 *c, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, c, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool good = e && X509_add_ext(c, e, -1) == 1;
    X509_EXTENSION_free(e);
    return good;
}

/* RFC 5280 section 4.1.2.2: at most 20 bytes, positive; 127 random bits cannot be guessed. */
static bool set_serial(X509 *c)
{
    unsigned char bytes[16];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] &= 0x7f;
    bytes[0] |= 0x40;
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(c));
    BN_free(number);
    return good;
}

static X509 *new_certificate(EVP_PKEY *key, const char *name, int days)
{
    X509 *c = X509_new();
    /* Begins a day early, for machines whose clocks are late. */
    if (c && X509_set_version(c, X509_VERSION_3) == 1 && set_serial(c) &&
        X509_gmtime_adj(X509_getm_notBefore(c), -24L * 3600) &&
        X509_gmtime_adj(X509_getm_notAfter(c), (long)days * 24 * 3600) &&
        X509_set_pubkey(c, key) == 1 &&
        X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_UTF8,
                                   (const unsigned char *)name, -1, -1, 0) == 1)
        return c;
    X509_free(c);
    return NULL;
}

static X509 *make_authority(EVP_PKEY *key)
{
    X509 *c = new_certificate(key, "Cloister console CA", CA_DAYS);
    if (c && X509_set_issuer_name(c, X509_get_subject_name(c)) == 1 &&
        add_extension(c, c, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        add_extension(c, c, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        add_extension(c, c, NID_subject_key_identifier, "hash") &&
        X509_sign(c, key, EVP_sha256()) > 0)
        return c;
    X509_free(c);
    return NULL;
}

static bool is_address(const char *host)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static bool add_names(X509 *c, const char *const *hosts, size_t count)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    bool good = names != NULL;
    for (size_t i = 0; good && i < count; i++) {
        int type = is_address(hosts[i]) ? GEN_IPADD : GEN_DNS;
        GENERAL_NAME *name = a2i_GENERAL_NAME(NULL, NULL, NULL, type, hosts[i], 0);
        good = name && sk_GENERAL_NAME_push(names, name) > 0;
        if (!good)
            GENERAL_NAME_free(name);
    }
    good = good && X509_add1_ext_i2d(c, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
    GENERAL_NAMES_free(names);
    return good;
}

static X509 *make_server(const struct authority *ca, EVP_PKEY *key, const char *const *hosts,
                         size_t count)
{
    X509 *c = new_certificate(key, "Cloister console", SERVER_DAYS);
    if (c && X509_set_issuer_name(c, X509_get_subject_name(ca->certificate)) == 1 &&
        add_extension(c, ca->certificate, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(c, ca->certificate, NID_key_usage, "critical,digitalSignature") &&
        add_extension(c, ca->certificate, NID_ext_key_usage, "serverAuth") &&
        add_extension(c, ca->certificate, NID_subject_key_identifier, "hash") &&
        add_extension(c, ca->certificate, NID_authority_key_identifier, "keyid:always") &&
        add_names(c, hosts, count) && X509_sign(c, ca->key, EVP_sha256()) > 0)
        return c;
    X509_free(c);
    return NULL;
}

static int days_left(const X509 *c)
{
    int days = 0, seconds = 0;
    ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(c));
    return days;
}

/* Whether the certificate is for this key and these names, from this authority, for long enough. */
static bool still_good(X509 *c, const struct authority *ca, const EVP_PKEY *key,
                       const char *const *hosts, size_t count)
{
    EVP_PKEY *issuer = X509_get0_pubkey(ca->certificate);
    if (days_left(c) < RENEW_DAYS || X509_check_private_key(c, key) != 1 ||
        X509_verify(c, issuer) != 1)
        return false;
    for (size_t i = 0; i < count; i++) {
        int match = is_address(hosts[i]) ? X509_check_ip_asc(c, hosts[i], 0)
                                         : X509_check_host(c, hosts[i], 0, 0, NULL);
        if (match != 1)
            return false;
    }
    return true;
}

static int ensure_authority(const char *directory, struct authority *ca)
{
    char key[PATH_MAX], file[PATH_MAX];
    if (!path_in(key, directory, "ca.key") || !path_in(file, directory, "ca.pem"))
        return -ENAMETOOLONG;
    int result = ensure_key(key, &ca->key);
    if (result)
        return result;
    result = pem_file_read_certificate(file, &ca->certificate);
    if (result == -ENOENT) {
        ca->certificate = make_authority(ca->key);
        result = ca->certificate ? pem_file_write_certificate(file, ca->certificate) : -EIO;
    }
    if (!result && X509_check_private_key(ca->certificate, ca->key) != 1)
        result = -EINVAL;
    if (result)
        report(file);
    return result;
}

static int ensure_server(const char *directory, const struct authority *ca,
                         const char *const *hosts, size_t count)
{
    char key_file[PATH_MAX], file[PATH_MAX];
    EVP_PKEY *key = NULL;
    X509 *c = NULL;
    if (!path_in(key_file, directory, "server.key") || !path_in(file, directory, "server.pem"))
        return -ENAMETOOLONG;
    int result = ensure_key(key_file, &key);
    if (!result) {
        result = pem_file_read_certificate(file, &c);
        if (result == -ENOENT || (!result && !still_good(c, ca, key, hosts, count))) {
            X509_free(c);
            c = make_server(ca, key, hosts, count);
            result = c ? pem_file_write_certificate(file, c) : -EIO;
            if (!result)
                log_notice("made %s, valid for %d days", file, SERVER_DAYS);
        }
        if (result)
            report(file);
    }
    X509_free(c);
    EVP_PKEY_free(key);
    return result;
}

int certificate_ensure(const char *directory, const char *const *hosts, size_t count)
{
    struct authority ca = {NULL, NULL};
    int result = ensure_authority(directory, &ca);
    if (!result)
        result = ensure_server(directory, &ca, hosts, count);
    X509_free(ca.certificate);
    EVP_PKEY_free(ca.key);
    return result;
}

int certificate_pin(const char *file, char out[CERTIFICATE_PIN_TEXT])
{
    X509 *c = NULL;
    unsigned char hash[32];
    unsigned char *der = NULL;
    int result = pem_file_read_certificate(file, &c);
    if (result)
        return result;
    int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(c), &der);
    if (length > 0 && EVP_Digest(der, (size_t)length, hash, NULL, EVP_sha256(), NULL) == 1)
        EVP_EncodeBlock((unsigned char *)out, hash, sizeof(hash));
    else
        result = -EIO;
    OPENSSL_free(der);
    X509_free(c);
    return result;
}

int certificate_days_left(const char *file, int *days)
{
    X509 *c = NULL;
    int result = pem_file_read_certificate(file, &c);
    if (!result)
        *days = days_left(c);
    X509_free(c);
    return result;
}

#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "encoding.h"
#include "pin.h"
#include "tls_fault.h"

_Static_assert(TLS_PIN_SIZE == PIN_SIZE, "one size, two headers");

#define HOST_MAX 253

/* A chain longer than this is not read: three certificates of 4 kB are usual. */
#define CHAIN_BYTES_MAX 65536

/* Records without data (key updates, tickets) in a row; a flood of them would only cost time. */
#define IDLE_BYTES_MAX 65536

struct tls_context {
    SSL_CTX *ssl;
    bool pinned;
    uint8_t pin[PIN_SIZE];
};

struct tls {
    SSL *ssl;
    struct tls_context *context;
    struct fault certificate; /* what the verification callback objected to */
    bool read_wants_write;
    bool write_wants_read;
    uint64_t raw_at_data; /* bytes received in all when data last came */
    char host[HOST_MAX + 1];
    char description[64];
};

/* OpenSSL's own verdict stands; this only puts it into words while the chain is at hand. */
static int verified(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *tls = SSL_get_app_data(ssl);

    if (!ok)
        tls_fault_certificate(&tls->certificate, store, tls->host);
    return ok;
}

static SSL_CTX *strict_context(bool allow_tls12)
{
    SSL_CTX *ssl = SSL_CTX_new(TLS_client_method());

    if (!ssl)
        return NULL;
    SSL_CTX_set_security_level(ssl, 2);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    SSL_CTX_clear_options(ssl, SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(ssl, CHAIN_BYTES_MAX);
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, verified);
    SSL_CTX_set_verify_depth(ssl, 8);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
    if (!SSL_CTX_set_min_proto_version(ssl, allow_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION) ||
        !SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20")) {
        SSL_CTX_free(ssl);
        return NULL;
    }
    return ssl;
}

int tls_setup(struct fault *fault)
{
    tzset();
    if (!OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL))
        return fault_set(fault, FAULT_LOCAL, "OpenSSL cannot be initialised");
    return 0;
}

/* Returns how many certificates of the PEM text were added, or -1 when one does not parse. */
static int add_trusted(SSL_CTX *ssl, const char *pem, size_t length)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    BIO *memory = length <= INT_MAX ? BIO_new_mem_buf(pem, (int)length) : NULL;
    int count = 0;
    bool good = memory != NULL;
    X509 *certificate;

    while (good && (certificate = PEM_read_bio_X509_AUX(memory, NULL, NULL, NULL))) {
        good = X509_STORE_add_cert(store, certificate) == 1;
        X509_free(certificate);
        count++;
    }
    /* Only "no further PEM block" is the end; a block that is broken is not. */
    good = good && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    BIO_free(memory);
    return good ? count : -1;
}

int tls_context_new(struct tls_context **out, const struct tls_config *config, struct fault *fault)
{
    struct tls_context *context = calloc(1, sizeof *context);
    int count;

    if (!context)
        return fault_set(fault, FAULT_LOCAL, "out of memory");
    ERR_clear_error();
    context->ssl = strict_context(config->allow_tls12);
    if (!context->ssl) {
        fault_set(fault, FAULT_LOCAL, "OpenSSL: %s", ERR_reason_error_string(ERR_get_error()));
    } else if ((count = add_trusted(context->ssl, config->ca, config->ca_length)) <= 0) {
        fault_set(fault, FAULT_CONFIGURATION, "the CA file %s",
                  count < 0 ? "holds a certificate that cannot be read" : "holds no certificate");
    }
    ERR_clear_error();
    if (fault->reason != FAULT_NONE) {
        tls_context_free(context);
        return fault->reason;
    }
    context->pinned = config->pin != NULL;
    if (config->pin)
        memcpy(context->pin, config->pin, PIN_SIZE);
    *out = context;
    return 0;
}

struct tls_context *tls_context_free(struct tls_context *context)
{
    if (context) {
        SSL_CTX_free(context->ssl);
        free(context);
    }
    return NULL;
}

/* Says for whom the certificate must be: an address by address, a name by name and in SNI. */
static bool expect_host(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);
    struct in6_addr address;

    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(parameters, host) == 1;
    return X509_VERIFY_PARAM_set1_host(parameters, host, 0) == 1 &&
           SSL_set_tlsext_host_name(ssl, (char *)(uintptr_t)host) == 1;
}

int tls_new(struct tls **out, struct tls_context *context, int fd, const char *host,
            struct fault *fault)
{
    struct tls *tls;

    if (host[0] == '\0' || strlen(host) > HOST_MAX)
        return fault_set(fault, FAULT_CONFIGURATION, "the console's host is empty or too long");
    tls = calloc(1, sizeof *tls);
    if (!tls)
        return fault_set(fault, FAULT_LOCAL, "out of memory");
    strcpy(tls->host, host);
    tls->context = context;
    tls->ssl = SSL_new(context->ssl);
    if (!tls->ssl || !SSL_set_app_data(tls->ssl, tls) || !expect_host(tls->ssl, host) ||
        !SSL_set_fd(tls->ssl, fd)) {
        tls_free(tls);
        return fault_set(fault, FAULT_LOCAL, "OpenSSL: %s",
                         ERR_reason_error_string(ERR_get_error()));
    }
    SSL_set_connect_state(tls->ssl);
    *out = tls;
    return 0;
}

struct tls *tls_free(struct tls *tls)
{
    if (tls) {
        SSL_free(tls->ssl);
        ERR_clear_error();
        free(tls);
    }
    return NULL;
}

/* The handshake is done: what OpenSSL does not check by itself. */
static int judge_peer(struct tls *tls, struct fault *fault)
{
    STACK_OF(X509) *chain = SSL_get0_verified_chain(tls->ssl);
    uint8_t digest[PIN_SIZE];

    if (SSL_get_verify_result(tls->ssl) != X509_V_OK || !chain) {
        fault_set(fault, FAULT_TLS_CERTIFICATE, "the certificate was not verified");
    } else if (SSL_version(tls->ssl) < TLS1_3_VERSION && SSL_get_extms_support(tls->ssl) != 1) {
        fault_set(fault, FAULT_TLS_VERSION, "TLS 1.2 without the extended master secret");
    } else if (tls->context->pinned && !pin_matches(tls->context->pin, chain)) {
        char text[ENCODING_BASE64_SIZE(PIN_SIZE)] = "?";

        if (pin_of(digest, sk_X509_value(chain, 0)) == 0)
            encoding_base64(text, digest, sizeof digest);
        fault_set(fault, FAULT_TLS_PIN, "%s has the key %s, which is not pinned", tls->host, text);
    }
    return fault->reason == FAULT_NONE ? 0 : TLS_FAILED;
}

int tls_handshake(struct tls *tls, struct fault *fault)
{
    int rc, code, error;

    ERR_clear_error();
    errno = 0;
    rc = SSL_do_handshake(tls->ssl);
    error = errno;
    if (rc == 1) {
        tls->raw_at_data = BIO_number_read(SSL_get_rbio(tls->ssl));
        return judge_peer(tls, fault);
    }
    code = SSL_get_error(tls->ssl, rc);
    if (code == SSL_ERROR_WANT_READ)
        return TLS_WANT_READ;
    if (code == SSL_ERROR_WANT_WRITE)
        return TLS_WANT_WRITE;
    if (tls->certificate.reason != FAULT_NONE)
        fault_set(fault, tls->certificate.reason, "%s", tls->certificate.detail);
    tls_fault_handshake(fault, tls->ssl, code, error);
    return TLS_FAILED;
}

/* Turns a failed SSL_read or SSL_write into an errno; `*crossed` when it waits for the other one.
 */
static ssize_t failure(struct tls *tls, int rc, int crossing, bool *crossed)
{
    int code = SSL_get_error(tls->ssl, rc);

    if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE) {
        *crossed = code == crossing;
        return -EAGAIN;
    }
    if (code == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (code == SSL_ERROR_SYSCALL ||
        ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return -ECONNRESET;
    return -EPROTO;
}

ssize_t tls_read(struct tls *tls, void *out, size_t length)
{
    uint64_t received;
    size_t count = 0;
    ssize_t error;
    int rc;

    ERR_clear_error();
    tls->read_wants_write = false;
    rc = SSL_read_ex(tls->ssl, out, length, &count);
    received = BIO_number_read(SSL_get_rbio(tls->ssl));
    if (rc == 1) {
        tls->raw_at_data = received;
        return (ssize_t)count;
    }
    error = failure(tls, rc, SSL_ERROR_WANT_WRITE, &tls->read_wants_write);
    if (error == -EAGAIN && received - tls->raw_at_data > IDLE_BYTES_MAX)
        return -EPROTO;
    return error;
}

ssize_t tls_write(struct tls *tls, const void *bytes, size_t length)
{
    size_t count = 0;
    ssize_t error;
    int rc;

    ERR_clear_error();
    tls->write_wants_read = false;
    rc = SSL_write_ex(tls->ssl, bytes, length, &count);
    if (rc == 1)
        return (ssize_t)count;
    error = failure(tls, rc, SSL_ERROR_WANT_READ, &tls->write_wants_read);
    return error == 0 ? -ECONNRESET : error;
}

bool tls_read_wants_write(const struct tls *tls)
{
    return tls->read_wants_write;
}

bool tls_write_wants_read(const struct tls *tls)
{
    return tls->write_wants_read;
}

bool tls_pending(const struct tls *tls)
{
    /* Not SSL_has_pending: that is also true for half a record, and half a record must be polled
     * for. */
    return SSL_pending(tls->ssl) > 0;
}

void tls_shut(struct tls *tls)
{
    ERR_clear_error();
    SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

int tls_binding(struct tls *tls, uint8_t out[TLS_BINDING_SIZE])
{
    static const char label[] = "EXPORTER-Channel-Binding";

    if (SSL_export_keying_material(tls->ssl, out, TLS_BINDING_SIZE, label, sizeof label - 1,
                                   (const unsigned char *)"", 0, 1) != 1)
        return -EPROTO;
    return 0;
}

const char *tls_describe(struct tls *tls)
{
    snprintf(tls->description, sizeof tls->description, "%s %s", SSL_get_version(tls->ssl),
             SSL_get_cipher_name(tls->ssl));
    return tls->description;
}

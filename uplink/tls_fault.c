#include "tls_fault.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NAME_TEXT_MAX 100

static void name_text(char *out, size_t capacity, X509_NAME *name)
{
    BIO *memory = BIO_new(BIO_s_mem());
    int length = 0;

    if (memory && X509_NAME_print_ex(memory, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0)
        length = BIO_read(memory, out, (int)capacity - 1);
    out[length > 0 ? length : 0] = '\0';
    BIO_free(memory);
}

/* The names that the certificate is for, as many as fit. */
static void host_names(char *out, size_t capacity, X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    size_t used = 0;

    out[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && used < capacity - 1; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        int written;

        if (name->type != GEN_DNS)
            continue;
        written = snprintf(out + used, capacity - used, "%s%.*s", used ? ", " : "",
                           ASN1_STRING_length(name->d.dNSName),
                           (const char *)ASN1_STRING_get0_data(name->d.dNSName));
        if (written < 0)
            break;
        used += (size_t)written;
    }
    GENERAL_NAMES_free(names);
    if (out[0] == '\0')
        snprintf(out, capacity, "no DNS name");
}

/* The last certificate that the peer sent names who stands behind it. */
static void unknown_issuer(struct fault *fault, X509_STORE_CTX *store, const char *host)
{
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(store);
    X509 *leaf = X509_STORE_CTX_get0_cert(store);
    X509 *top =
        chain && sk_X509_num(chain) > 0 ? sk_X509_value(chain, sk_X509_num(chain) - 1) : leaf;
    char issuer[NAME_TEXT_MAX];

    name_text(issuer, sizeof issuer, X509_get_issuer_name(top));
    if (X509_NAME_cmp(X509_get_issuer_name(leaf), X509_get_subject_name(leaf)) == 0)
        fault_set(fault, FAULT_TLS_UNKNOWN_ISSUER, "%s presents a self-signed certificate of '%s'",
                  host, issuer);
    else
        fault_set(fault, FAULT_TLS_UNKNOWN_ISSUER,
                  "%s presents a certificate issued by '%s', which is not a CA that the agent "
                  "trusts: a wrong ca setting, or something on the way intercepts TLS",
                  host, issuer);
}

static void wrong_host(struct fault *fault, X509_STORE_CTX *store, const char *host)
{
    char names[NAME_TEXT_MAX];

    host_names(names, sizeof names, X509_STORE_CTX_get0_cert(store));
    fault_set(fault, FAULT_TLS_WRONG_HOST, "the certificate is not for %s but for %s", host, names);
}

static void out_of_time(struct fault *fault, X509_STORE_CTX *store, const char *what)
{
    char subject[NAME_TEXT_MAX];

    name_text(subject, sizeof subject,
              X509_get_subject_name(X509_STORE_CTX_get_current_cert(store)));
    fault_set(fault, FAULT_TLS_EXPIRED, "the certificate of '%s' %s (is this clock right?)",
              subject, what);
}

void tls_fault_certificate(struct fault *fault, X509_STORE_CTX *store, const char *host)
{
    int error = X509_STORE_CTX_get_error(store);

    switch (error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        unknown_issuer(fault, store, host);
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        wrong_host(fault, store, host);
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        out_of_time(fault, store, "has expired");
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        out_of_time(fault, store, "is not valid yet");
        break;
    default:
        fault_set(fault, FAULT_TLS_CERTIFICATE, "certificate of %s: %s", host,
                  X509_verify_cert_error_string(error));
    }
}

static bool is_version(int reason)
{
    switch (reason) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_BAD_PROTOCOL_VERSION_NUMBER:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
        return true;
    default:
        return false;
    }
}

void tls_fault_handshake(struct fault *fault, const SSL *ssl, int code, int error)
{
    unsigned long queued = ERR_peek_error();
    const char *text = ERR_reason_error_string(queued);

    ERR_clear_error();
    if (code == SSL_ERROR_SYSCALL && error != 0)
        fault_set(fault, FAULT_TLS_HANDSHAKE, "during the TLS handshake: %s", strerror(error));
    else if (code == SSL_ERROR_SYSCALL || code == SSL_ERROR_ZERO_RETURN ||
             ERR_GET_REASON(queued) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        fault_set(fault, FAULT_TLS_HANDSHAKE, "the peer closed during the TLS handshake");
    else if (is_version(ERR_GET_REASON(queued)))
        fault_set(fault, FAULT_TLS_VERSION, "the peer has no TLS version that is allowed (%s)",
                  text ? text : SSL_get_version(ssl));
    else if (ERR_GET_REASON(queued) == SSL_R_WRONG_VERSION_NUMBER)
        fault_set(fault, FAULT_TLS_HANDSHAKE, "the peer does not speak TLS");
    else
        fault_set(fault, FAULT_TLS_HANDSHAKE, "TLS handshake: %s", text ? text : "failed");
}

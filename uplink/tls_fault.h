/*
 * Puts a failed TLS handshake into words: which of the reasons of fault.h it was, and what the peer
 * presented. A user who reads "TLS failed" cannot tell a wrong configuration from an interception;
 * the issuer that the presented chain names can.
 */
#ifndef CLOISTER_UPLINK_TLS_FAULT_H
#define CLOISTER_UPLINK_TLS_FAULT_H

#include <openssl/ssl.h>

#include "fault.h"

/* Describes the objection that certificate verification in `store` ended with. */
void tls_fault_certificate(struct fault *fault, X509_STORE_CTX *store, const char *host);

/*
 * Describes why SSL_do_handshake on `ssl` failed with `code` (of SSL_get_error) and `error` (errno
 * at that time), from OpenSSL's error queue, which is emptied. A fault that is already there stays.
 */
void tls_fault_handshake(struct fault *fault, const SSL *ssl, int code, int error);

#endif

/*
 * TLS towards the console: OpenSSL over a descriptor that is already connected.
 *
 * What opens files is in tls_setup and comes before the lock; everything after it works with read,
 * write and memory. The system's openssl.cnf is not loaded: what is accepted is decided here
 * and by our own configuration, not by a file that something else may edit.
 *
 * Accepted: TLS 1.3, or 1.2 where configured and then only with the extended master secret
 * (RFC 7627) and AEAD suites with forward secrecy; a certificate for the host by subjectAltName
 * (RFC 6125, no common name, no partial wildcards) under the given CA bundle; optionally a pinned
 * key in the verified chain, in the sense of RFC 7469 section 2.6. No renegotiation, no
 * compression, no resumption, no early data.
 *
 * A context may be shared, a connection belongs to one thread at a time. SIGPIPE must be ignored.
 */
#ifndef CLOISTER_UPLINK_TLS_H
#define CLOISTER_UPLINK_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fault.h"

#define TLS_BINDING_SIZE 32
#define TLS_PIN_SIZE     32

struct tls_config {
    const char *ca; /* certificates in PEM, text between them is skipped */
    size_t ca_length;
    const uint8_t *pin; /* NULL, or the SHA-256 of a SubjectPublicKeyInfo, TLS_PIN_SIZE bytes, that
                           the chain must hold */
    bool allow_tls12;
};

struct tls_context;
struct tls;

enum tls_outcome {
    TLS_WANT_READ = 1, /* call again when the descriptor is readable */
    TLS_WANT_WRITE,    /* call again when it is writable */
    TLS_FAILED,        /* `fault` says why; only tls_free may follow */
};

/*
 * Initialises OpenSSL without its configuration file, and the time zone, which opens one. Before
 * the lock and before everything else here. Returns 0, or the fault_reason with `fault` set.
 */
int tls_setup(struct fault *fault);

/*
 * Reads the CA certificates and copies the pin. Returns 0, or the fault_reason with `fault` set.
 */
int tls_context_new(struct tls_context **out, const struct tls_config *config, struct fault *fault);
struct tls_context *tls_context_free(struct tls_context *context);

/*
 * Prepares a client for the connected non-blocking `fd`, which stays the caller's and must outlive
 * the result, as must `context`. `host` is the name or the address literal that the certificate
 * must be valid for. Sends nothing. Returns 0, or the fault_reason with `fault` set.
 */
int tls_new(struct tls **out, struct tls_context *context, int fd, const char *host,
            struct fault *fault);
struct tls *tls_free(struct tls *tls);

/*
 * Goes on with the handshake. Returns 0 when it is complete and everything that was asked of the
 * peer has been checked, pins included, or a tls_outcome.
 */
int tls_handshake(struct tls *tls, struct fault *fault);

/*
 * Reads at most `length` bytes (at least 1). Returns their number; 0 when the peer ended the
 * connection in order; -EAGAIN when none can be had now (a record without data, such as a key
 * update, gives this too, so that a flood of them returns to the caller's loop); -ECONNRESET when
 * the connection broke or was cut without close_notify; -EPROTO when the peer broke TLS or sent
 * more than 64 KiB of records without data.
 */
ssize_t tls_read(struct tls *tls, void *out, size_t length);

/*
 * Writes at most `length` bytes (at least 1). Returns the number taken, which may be less; -EAGAIN,
 * -ECONNRESET or -EPROTO as tls_read. After -EAGAIN the call must be repeated with the same bytes.
 */
ssize_t tls_write(struct tls *tls, const void *bytes, size_t length);

/*
 * Which of POLLIN and POLLOUT the last tls_read and tls_write that returned -EAGAIN wait for, as
 * far as that differs from the obvious.
 */
bool tls_read_wants_write(const struct tls *tls);
bool tls_write_wants_read(const struct tls *tls);

/* Whether tls_read would find something that the descriptor no longer shows to poll(2). */
bool tls_pending(const struct tls *tls);

/* Tries once to send close_notify; does not wait. */
void tls_shut(struct tls *tls);

/*
 * The channel binding `tls-exporter` (RFC 9266) of a complete handshake: 32 bytes into `out`.
 * Returns 0 or -EPROTO.
 */
int tls_binding(struct tls *tls, uint8_t out[TLS_BINDING_SIZE]);

/* "TLSv1.3 TLS_AES_256_GCM_SHA384", for the log; valid as long as `tls`. */
const char *tls_describe(struct tls *tls);

#endif

/*
 * P-256 keys: made here, read from files, or used where they are (a PKCS#11 token, a TPM) through
 * an OpenSSL provider. One thread.
 *
 * Functions complain themselves. What is secret lies in OpenSSL's secure heap as far as OpenSSL
 * puts it there, in a process that key_guard keeps from being dumped or traced.
 */
#ifndef CLOISTER_SIGN_KEY_H
#define CLOISTER_SIGN_KEY_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "passphrase.h"

#define KEY_POINT_SIZE     64 /* x and y, 32 bytes each, big-endian */
#define KEY_SIGNATURE_SIZE 64 /* r and s, likewise (RFC 7518 section 3.4) */
#define KEY_PROVIDERS_MAX  4

/* Which private key: what --key, --provider and --passphrase-* say. */
struct key_source {
    const char *name; /* a file, or a URI of OSSL_STORE: "pkcs11:...", "handle:0x81000001", ... */
    const char *providers[KEY_PROVIDERS_MAX]; /* beside "default" */
    unsigned providers_count;
    struct passphrase_source passphrase;
};

/*
 * To be called before a key is opened or made: no core dump, no ptrace by others of this user, and
 * OpenSSL's locked heap. Returns false if there can be no such heap.
 */
bool key_guard(void);

/*
 * Opens the private key. Returns it, to be freed with EVP_PKEY_free, or NULL: it cannot be read,
 * the passphrase is wrong, or it is not on P-256.
 */
EVP_PKEY *key_open(struct key_source *source);

/* Makes a key. NULL if OpenSSL fails. */
EVP_PKEY *key_make(void);

/*
 * Writes the key as PKCS#8 in PEM to a new file of mode 0600. With a passphrase it is encrypted
 * with PBES2: AES-256-CBC under scrypt (RFC 7914; N 16384, r 8, p 8: 16 MiB; the most that OpenSSL
 * reads without being told otherwise is 32). NULL: it is not encrypted. Returns false, and there is
 * no new file, if that fails or the file exists.
 */
bool key_write(const char *path, EVP_PKEY *key, const char *passphrase);

/* The public point of a key. */
bool key_point(uint8_t point[KEY_POINT_SIZE], EVP_PKEY *key);

/*
 * Signs with ECDSA and SHA-256, and checks the signature against the key's public point, so that a
 * token that answers with another key, or wrongly, is found here.
 */
bool key_sign(uint8_t signature[KEY_SIGNATURE_SIZE], EVP_PKEY *key, const void *bytes,
              size_t length);

/* Whether that is the point's signature. Says nothing. */
bool key_verify(const uint8_t point[KEY_POINT_SIZE], const uint8_t signature[KEY_SIGNATURE_SIZE],
                const void *bytes, size_t length);

/* Whether the point is one of P-256. Says nothing. */
bool key_is_point(const uint8_t point[KEY_POINT_SIZE]);

/* Whether this is the Ed25519 signature of that public key (RFC 8032). Says nothing. */
bool key_verify_ed25519(const uint8_t public_key[32], const uint8_t signature[64],
                        const void *bytes, size_t length);

#define KEY_FINGERPRINT_SIZE 52 /* "SHA256:", 43 characters, and the padding's place for NUL */

/* SHA-256 of the point's SubjectPublicKeyInfo (DER, RFC 5480) in base64 without padding,
 * "SHA256:...", as the vault shows it. */
bool key_fingerprint(char out[KEY_FINGERPRINT_SIZE], const uint8_t point[KEY_POINT_SIZE]);

#endif

/*
 * Keys and certificates in PEM files (RFC 7468), written whole or not at all with mode 0600.
 * OpenSSL objects are the caller's. Not for concurrent use on the same file.
 */
#ifndef CONSOLE_PEM_FILE_H
#define CONSOLE_PEM_FILE_H

#include <openssl/evp.h>
#include <openssl/x509.h>

/* Reads an unencrypted private key. 0, -ENOENT, -EINVAL (no such key in it), or -errno. */
int pem_file_read_key(const char *file, EVP_PKEY **out);

/* Reads the first certificate. 0, -ENOENT, -EINVAL, or -errno. */
int pem_file_read_certificate(const char *file, X509 **out);

/* Writes; an existing file is replaced by rename. 0 or -errno. */
int pem_file_write_key(const char *file, const EVP_PKEY *key);
int pem_file_write_certificate(const char *file, const X509 *certificate);

#endif

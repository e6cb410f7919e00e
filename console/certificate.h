/*
 * The console's own certificate authority: made at first start when the administrator gives no
 * certificate. ECDSA P-256 throughout (RFC 5480), X.509 v3 (RFC 5280).
 *
 * In the state folder, each written whole or not at all, mode 0600:
 *   ca.key, ca.pem          made once, 10 years; ca.pem is what agents trust
 *   server.key, server.pem  the key is made once and stays, so that a pinned SPKI stays valid; the
 *                           certificate is made anew when names change or its end is near
 *
 * To be called from one thread.
 */
#ifndef CONSOLE_CERTIFICATE_H
#define CONSOLE_CERTIFICATE_H

#include <stddef.h>
#include <stdint.h>

/* Length of certificate_pin's text with its terminator. */
#define CERTIFICATE_PIN_TEXT 45

/*
 * Makes what is missing or due in `directory` for a server that answers to `hosts` (DNS names and
 * IP addresses in text form). 0 or -errno; the reason is logged. A file that is there but cannot be
 * read or does not fit its key is an error (-EINVAL), never replaced.
 */
int certificate_ensure(const char *directory, const char *const *hosts, size_t count);

/* Writes the SHA-256 of the certificate's SubjectPublicKeyInfo in base64 (the form of RFC 7469).
 * `file` is PEM. 0 or -errno. */
int certificate_pin(const char *file, char out[CERTIFICATE_PIN_TEXT]);

/* Writes to `days` how many are left until the certificate in `file` ends, negative when it has.
 * 0 or -errno. */
int certificate_days_left(const char *file, int *days);

#endif

/*
 * Where a passphrase, or a token's PIN, comes from. One thread.
 */
#ifndef CLOISTER_SIGN_PASSPHRASE_H
#define CLOISTER_SIGN_PASSPHRASE_H

#include <stdbool.h>

#define PASSPHRASE_MAX   1024 /* bytes, without the NUL */
#define PASSPHRASE_LEAST 8    /* bytes of one that is made here */

struct passphrase_source {
    const char *file; /* its first line; NULL: see fd */
    int fd;           /* its first line; -1: the terminal */
    char *kept;       /* what was read before: a descriptor is read only once. In secure memory */
};

/* The source that asks on the terminal. */
#define PASSPHRASE_TERMINAL ((struct passphrase_source){.fd = -1})

/*
 * Returns the passphrase, or NULL having complained. From the terminal it is asked for with
 * `prompt`, without echo, and twice if `again`. It stays owned by the source, in OpenSSL's secure
 * heap.
 */
const char *passphrase_get(struct passphrase_source *source, const char *prompt, bool again);

/* Overwrites what is kept. */
void passphrase_forget(struct passphrase_source *source);

#endif

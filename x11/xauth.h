/*
 * The X server's cookie out of an Xauthority file, which belongs to the session's user and is read
 * by a locked process from bytes in memory: nothing is opened here.
 *
 * The file is a row of entries (Xsecurity(7), libXau): u16 family, then four counted fields of
 * u16 length and bytes, all big-endian: address, display number, name of the protocol, data.
 */
#ifndef CLOISTER_XAUTH_H
#define CLOISTER_XAUTH_H

#include <stddef.h>
#include <stdint.h>

/* The largest file that is looked at. */
#define XAUTH_FILE_MAX     65536U
#define XAUTH_COOKIE_BYTES 16U

struct xauth_cookie {
    uint8_t bytes[XAUTH_COOKIE_BYTES];
};

enum xauth_outcome {
    XAUTH_OK = 0,
    XAUTH_NONE = 1,      /* no MIT-MAGIC-COOKIE-1 for this display */
    XAUTH_MALFORMED = 2, /* an entry ends beyond the file */
};

/*
 * Finds the cookie of the local display `display` ("0") in `length` hostile bytes. The entry of
 * this `host` comes first, then one for any host, then any local one: a home folder may be shared
 * by many hosts, and a machine may have been renamed. Pure; any thread.
 */
int xauth_find(struct xauth_cookie *out, const uint8_t *file, size_t length, const char *host,
               const char *display);

#endif

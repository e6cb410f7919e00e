/*
 * The Xauthority reader with hostile bytes. A cookie that it finds stands in the file behind the
 * protocol's name; what is not found is not touched.
 */
#include "xauth.h"

#include <stdlib.h>
#include <string.h>

#define NAME "MIT-MAGIC-COOKIE-1\0\x10" /* the name, and the length of the data behind it */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int stands_in(const uint8_t *file, size_t size, const struct xauth_cookie *cookie)
{
    uint8_t field[sizeof NAME - 1 + XAUTH_COOKIE_BYTES];
    memcpy(field, NAME, sizeof NAME - 1);
    memcpy(field + sizeof NAME - 1, cookie->bytes, XAUTH_COOKIE_BYTES);
    return memmem(file, size, field, sizeof field) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct xauth_cookie untouched = {"0123456789abcde"};
    struct xauth_cookie cookie = untouched;
    int outcome = xauth_find(&cookie, data, size, "here", "0");
    if (outcome == XAUTH_OK && !stands_in(data, size, &cookie))
        abort();
    if (outcome == XAUTH_NONE && memcmp(&cookie, &untouched, sizeof cookie) != 0)
        abort();
    if (outcome < XAUTH_OK || outcome > XAUTH_MALFORMED)
        abort();
    return 0;
}

/* The Xauthority reader with hostile bytes. */
#include "xauth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xauth_cookie cookie;
    (void)xauth_find(&cookie, data, size, "here", "0");
    return 0;
}

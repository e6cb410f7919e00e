/* The X server's setup: what is found whole can be gone through by libxcb. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "setup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of its own, so that a sanitizer sees the first byte behind it. */
    void *copy = malloc(size ? size : 1);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    if (setup_is_whole(copy, size)) {
        if (!setup_of_xcb_is_whole(copy))
            abort();
        (void)setup_has_plain_pixels(copy);
        xcb_screen_iterator_t screens = xcb_setup_roots_iterator(copy);
        while (screens.rem > 0)
            xcb_screen_next(&screens);
        if (screens.index > (int)size)
            abort();
    }
    free(copy);
    return 0;
}

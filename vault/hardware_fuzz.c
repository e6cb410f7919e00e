/*
 * The form that serial numbers are brought into: firmware writes them. Whatever comes, the result
 * is terminated, printable, bounded, and has the same form when it is brought into it again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hardware.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hardware_identifier id, again;
    hardware_identify(&id, HARDWARE_READABLE, (const char *)data, size);
    if (strnlen(id.text, sizeof id.text) != id.length)
        abort();
    if ((id.state == HARDWARE_READABLE) != (id.length > 0))
        abort();
    for (size_t i = 0; i < id.length; i++)
        if (id.text[i] < ' ' || id.text[i] > '~')
            abort();
    hardware_identify(&again, id.state, id.text, id.length);
    if (id.state == HARDWARE_READABLE && memcmp(&id, &again, sizeof id) != 0)
        abort();
    return 0;
}

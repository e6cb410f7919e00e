/* libFuzzer: the finder of the section of keys, in a file that may be anything. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "elf_section.h"

#define SIZE 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t offset = SIZE_MAX, again = SIZE_MAX;
    uint8_t *copy = malloc(size ? size : 1); /* of exactly this size, for AddressSanitizer */
    must(copy != NULL);
    memcpy(copy, data, size);
    const char *fault = elf_section_find(&offset, copy, size, ".cloister_keys", SIZE);
    if (!fault) {
        must(offset >= 64 && offset <= size && size - offset >= SIZE);
        memset(copy + offset, 0xa5, SIZE);
        must(elf_section_find(&again, copy, size, ".cloister_keys", SIZE) == NULL);
        must(again == offset); /* stamped, it is found again in the same place */
    }
    free(copy);
    return 0;
}

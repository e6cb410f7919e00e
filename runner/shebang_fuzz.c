/*
 * The first line of any script: what is taken from it lies in it, ends, and has no blanks where
 * there are none.
 */
#include "shebang.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shebang shebang;
    memset(&shebang, 0xff, sizeof shebang);
    if (shebang_read(&shebang, data, size) != 0)
        return 0;
    size_t name = strnlen(shebang.interpreter, sizeof shebang.interpreter);
    size_t argument = strnlen(shebang.argument, sizeof shebang.argument);
    must(size >= 3 && data[0] == '#' && data[1] == '!');
    must(name >= 1 && name < sizeof shebang.interpreter);
    must(argument < sizeof shebang.argument && name + argument <= size - 2);
    must(strcspn(shebang.interpreter, " \t\n") == name);
    must(strcspn(shebang.argument, "\n") == argument);
    must(shebang.argument[0] != ' ' && shebang.argument[0] != '\t');
    must(memmem(data, size, shebang.interpreter, name) != NULL);
    must(argument == 0 || memmem(data, size, shebang.argument, argument) != NULL);
    return 0;
}

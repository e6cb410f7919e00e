/* A program with a section of keys as the vault has one, for the tests of stamp. */
#include "command_keys.h"

static const struct command_keys keys
    __attribute__((section(COMMAND_KEYS_SECTION), used)) = {.magic = COMMAND_KEYS_MAGIC};

int main(void)
{
    const volatile struct command_keys *there = &keys; /* not what the compiler knows of it */
    return there->count > COMMAND_KEYS_MAX;
}

/* Says that it runs, and exits when its life pipe ends. */
#include <stdio.h>
#include <unistd.h>

#include "grant.h"

int main(void)
{
    char byte, given[32];
    struct grant grant;
    ssize_t got = read(3, given, sizeof given); /* ca, or for the kind xidle the cookie */
    dprintf(STDERR_FILENO, "idle worker runs as %u%s%.*s\n", getuid(), got > 0 ? ", given " : "",
            got > 0 ? (int)got : 0, given);
    if (pread(4, &grant, sizeof grant, 0) == sizeof grant && grant.magic == GRANT_MAGIC)
        dprintf(STDERR_FILENO, "vault %u-%u of profile %u, key %02x%02x%02x%02x\n", grant.slot,
                grant.generation, grant.profile, grant.key[0], grant.key[1], grant.key[30],
                grant.key[31]);
    return read(STDIN_FILENO, &byte, 1) == 0 ? 7 : 1;
}

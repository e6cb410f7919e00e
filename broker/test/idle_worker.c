/* Says that it runs, and exits when its life pipe ends. */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    char byte, cookie[32];
    ssize_t got = read(3, cookie, sizeof cookie); /* the kind xidle has one */
    dprintf(STDERR_FILENO, "idle worker runs as %u%s%.*s\n", getuid(), got > 0 ? ", cookie " : "",
            got > 0 ? (int)got : 0, cookie);
    return read(STDIN_FILENO, &byte, 1) == 0 ? 7 : 1;
}

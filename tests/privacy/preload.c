/* What a user's program might preload into cloister-ticket: it says that it is in. */
#include <unistd.h>

__attribute__((constructor)) static void say(void)
{
    static const char words[] = "PRELOADED-MARKER\n";
    if (write(STDERR_FILENO, words, sizeof(words) - 1) < 0)
        _exit(99);
}

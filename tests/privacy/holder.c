/*
 * A process that holds given bytes, for the scanner and the core files to be tried on.
 *
 * usage: holder heap|locked < BYTES
 *
 * heap: in ordinary memory. locked: in memory that is locked and left out of core files. It prints
 * "ready" and stays until it is killed. It can be dumped, as ordinary programs can.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST = 1 << 20 };

int main(int argc, char **argv)
{
    int locked = argc == 2 && strcmp(argv[1], "locked") == 0;
    uint8_t *memory = mmap(NULL, MOST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    if (locked && (mlock(memory, MOST) || madvise(memory, MOST, MADV_DONTDUMP)))
        return 1;
    /* read(2), so that no buffer of the C library's gets a copy. */
    size_t have = 0;
    for (ssize_t n; (n = read(STDIN_FILENO, memory + have, MOST - have)) > 0;)
        have += (size_t)n;
    if (have == 0)
        return 1;
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}

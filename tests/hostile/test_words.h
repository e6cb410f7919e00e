/*
 * The words that a test gives to its worker: the launcher passes no arguments, so the starter
 * writes them into the life pipe before the launch, each ended by NUL and an empty one at the end.
 */
#ifndef CLOISTER_TEST_WORDS_H
#define CLOISTER_TEST_WORDS_H

#include <string.h>
#include <unistd.h>

#define TEST_WORDS_MAX 6

/* Reads them into `words`, whose last one is NULL. Returns how many there are, or -1. Call once. */
static inline int test_words(char *words[TEST_WORDS_MAX + 1])
{
    static char text[2048];
    size_t used = 0;
    int count = 0;
    while (count < TEST_WORDS_MAX) {
        words[count] = text + used;
        do {
            if (used == sizeof(text) || read(0, text + used, 1) != 1)
                return -1;
        } while (text[used++] != '\0');
        if (words[count][0] == '\0')
            break;
        count++;
    }
    words[count] = NULL;
    return count;
}

#endif

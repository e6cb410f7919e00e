/* What the tables of words.h share. Not for others. */
#ifndef CLOISTER_TOOLS_WORDS_FIND_H
#define CLOISTER_TOOLS_WORDS_FIND_H

#include <stddef.h>

#include "words.h"

#define WORDS_COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* The row of that number, or {"unknown", ...} if the table has none. */
const struct words *words_find(const struct words *table, size_t count, unsigned value);

#endif

#include "pattern.h"

#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Only the last '*' is ever tried again: a later one can take whatever an earlier one could. */
bool pattern_matches(const char *pattern, const char *text, size_t length)
{
    const char *star = NULL;
    size_t at = 0, star_at = 0;
    while (at < length) {
        if (*pattern == '*') {
            star = ++pattern;
            star_at = at;
        } else if (*pattern != '\0' && (*pattern == '?' || lower(*pattern) == lower(text[at]))) {
            pattern++;
            at++;
        } else if (star != NULL) {
            pattern = star;
            at = ++star_at;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool pattern_list_matches(const struct pattern_list *list, const char *wm_class, size_t length)
{
    size_t at = 0;
    while (at < length) {
        size_t part = strnlen(wm_class + at, length - at);
        for (size_t i = 0; i < list->count; i++)
            if (pattern_matches(list->patterns[i], wm_class + at, part))
                return true;
        at += part + 1;
    }
    return false;
}

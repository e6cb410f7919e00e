/*
 * The deny list's patterns: '*' stands for any text, '?' for any one character, everything else for
 * itself without regard to ASCII case. Takes time in proportion to pattern times text at most,
 * since the text is a window's and may be hostile. Pure; any thread.
 */
#ifndef CLOISTER_CAPTURE_PATTERN_H
#define CLOISTER_CAPTURE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#define PATTERN_BYTES_MAX 64U
#define PATTERNS_MAX      32U

struct pattern_list {
    size_t count;
    char patterns[PATTERNS_MAX][PATTERN_BYTES_MAX]; /* terminated */
};

/* Whether `length` bytes of `text` match `pattern`. */
bool pattern_matches(const char *pattern, const char *text, size_t length);

/*
 * Whether either part of a WM_CLASS property of `length` hostile bytes ("instance\0class\0", ICCCM
 * section 4.1.2.5) matches any pattern.
 */
bool pattern_list_matches(const struct pattern_list *list, const char *wm_class, size_t length);

#endif

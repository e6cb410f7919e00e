#include "shebang.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define LAST (SHEBANG_MAX - 1) /* of the bytes that are looked at, the last only ends a word */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *at)
{
    while (is_blank(*at))
        at++;
    return at;
}

/* The end of the word, or of the line. */
static const char *skip_word(const char *at)
{
    while (*at && !is_blank(*at))
        at++;
    return at;
}

/*
 * Copies the line behind "#!" as a text. Returns whether it is cut, and that within its first word.
 * As in the kernel, whose buffer ends in zeros, blanks at the end go only where they end the line.
 */
static bool take_line(char line[SHEBANG_MAX], const uint8_t *script, size_t length)
{
    size_t looked = length < SHEBANG_MAX ? length : SHEBANG_MAX;
    const uint8_t *newline = memchr(script, '\n', looked);
    size_t n = newline ? (size_t)(newline - script) : looked < LAST ? looked : LAST;
    bool ends = newline || n == LAST; /* the line, rather than the script */
    bool cut = !newline && looked > LAST && script[LAST] != '\0' && !is_blank((char)script[LAST]);
    size_t end = n;
    while (ends && end > 2 && is_blank((char)script[end - 1]))
        end--;
    memcpy(line, script + 2, end - 2);
    line[end - 2] = '\0';
    return cut && end == n && strlen(line) == n - 2 && *skip_word(skip_blanks(line)) == '\0';
}

int shebang_read(struct shebang *out, const uint8_t *script, size_t length)
{
    char line[SHEBANG_MAX];
    if (length < 3 || memcmp(script, "#!", 2) != 0)
        return -ENOEXEC;
    bool cut = take_line(line, script, length);
    const char *name = skip_blanks(line);
    const char *end = skip_word(name);
    if (end == name || cut)
        return -ENOEXEC;
    memset(out, 0, sizeof *out);
    memcpy(out->interpreter, name, (size_t)(end - name));
    strcpy(out->argument, skip_blanks(end));
    return 0;
}

#include "log.h"
#include "log_emit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *log_name = "cloister";
static int log_with_priority;
static int log_level = LOG_DEBUG;

void log_setup(const char *name, int with_priority)
{
    log_name = name;
    log_with_priority = with_priority;
}

void log_set_level(int level)
{
    log_level = level;
}

size_t log_escape_text(char *out, size_t capacity, const char *text, size_t length, bool backslash)
{
    static const char hex[] = "0123456789abcdef";
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        int plain = c >= 0x20 && c < 0x7f && (c != '\\' || backslash);
        size_t need = plain ? 1 : 4;
        if (need > capacity - 1 - used)
            break;
        if (plain) {
            out[used++] = (char)c;
        } else {
            out[used++] = '\\';
            out[used++] = 'x';
            out[used++] = hex[c >> 4];
            out[used++] = hex[c & 15];
        }
    }
    out[used] = '\0';
    return used;
}

size_t log_escape(char *out, size_t capacity, const char *text, size_t length)
{
    return log_escape_text(out, capacity, text, length, false);
}

void log_emit(int priority, const char *who, const char *text)
{
    if (LOG_PRI(priority) > log_level)
        return;
    int saved = errno;
    char line[LOG_LINE_MAX];
    int n = log_with_priority
                ? snprintf(line, sizeof(line) - 1, "<%d>%s: %s", LOG_PRI(priority), who, text)
                : snprintf(line, sizeof(line) - 1, "%s: %s", who, text);
    if (n > 0) {
        size_t used = (size_t)n < sizeof(line) - 1 ? (size_t)n : sizeof(line) - 2;
        line[used++] = '\n';
        /* Nothing can be done about a log that cannot be written; the agent's work goes on. */
        if (write(STDERR_FILENO, line, used) < 0)
            errno = 0;
    }
    if (log_copy)
        log_copy(priority, who, text);
    errno = saved;
}

void log_line(int priority, const char *format, ...)
{
    int saved = errno;
    char text[LOG_LINE_MAX], escaped[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    errno = saved;
    if (n < 0)
        return;
    log_escape_text(escaped, sizeof(escaped), text, strlen(text), false);
    log_emit(priority, log_name, escaped);
}

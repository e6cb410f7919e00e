#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *log_name = "cloister";
static int log_with_priority;

void log_setup(const char *name, int with_priority)
{
    log_name = name;
    log_with_priority = with_priority;
}

size_t log_escape(char *out, size_t capacity, const char *text, size_t length)
{
    static const char hex[] = "0123456789abcdef";
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        int plain = c >= 0x20 && c < 0x7f && c != '\\';
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

void log_line(int priority, const char *format, ...)
{
    int saved = errno;
    char text[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n < 0)
        return;

    char line[LOG_LINE_MAX];
    int head = log_with_priority
                   ? snprintf(line, sizeof(line), "<%d>%s: ", LOG_PRI(priority), log_name)
                   : snprintf(line, sizeof(line), "%s: ", log_name);
    if (head < 0 || (size_t)head > sizeof(line) / 2)
        return;
    size_t used = (size_t)head;
    used += log_escape(line + used, sizeof(line) - 1 - used, text, strlen(text));
    line[used++] = '\n';
    /* Nothing can be done about a log that cannot be written; the agent's work goes on. */
    if (write(STDERR_FILENO, line, used) < 0)
        errno = 0;
    errno = saved;
}

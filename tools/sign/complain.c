#include "complain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

void complain(const char *advice, const char *format, ...)
{
    va_list arguments;
    fflush(stdout);
    fputs("cloister-sign: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    if (advice)
        fprintf(stderr, "  %s\n", advice);
}

const char *shown(const char *text)
{
    static char buffers[4][256];
    static unsigned turn;
    char *out = buffers[turn++ % 4];
    log_escape(out, sizeof(buffers[0]), text, strlen(text));
    return out;
}

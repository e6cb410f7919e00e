/*
 * What a hostile process can make of the log. Whatever it writes, one line comes out, printable
 * ASCII alone, under the name that its reader gave it, and never an alert.
 *
 * The first byte chooses: log_escape into a buffer of some size, a line that we write with a
 * hostile argument, or a line of another process that is passed on.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define TAG "worker[77]: "

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
ssize_t __real_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);

static char line[2 * LOG_LINE_MAX];
static size_t line_length, lines;

static void must(int condition)
{
    if (!condition)
        abort();
}

/* Stands in front of write(2) in log.c. */
ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
    must(fd == STDERR_FILENO && length <= LOG_LINE_MAX);
    memcpy(line, bytes, length);
    line[length] = '\0';
    line_length = length;
    lines++;
    return (ssize_t)length;
}

static int printable(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~')
            return 0;
    return 1;
}

static void fuzz_escape(const uint8_t *data, size_t size)
{
    size_t capacity = size ? 5 + (size_t)data[0] : 5;
    char *out = malloc(capacity); /* on the heap and exact: a sanitizer sees one byte too many */
    must(out != NULL);
    size_t length = log_escape(out, capacity, (const char *)data, size);
    must(length < capacity && strlen(out) == length && printable(out, length));
    must(capacity <= 4 * size || length >= size); /* nothing is dropped while there is room */
    free(out);
}

static void check_line(const char *tag)
{
    must(lines == 1 && line_length > 0 && line[line_length - 1] == '\n');
    must(printable(line, line_length - 1));
    must(line[0] == '<' && line[1] >= '0' + LOG_ERR && line[1] <= '7' && line[2] == '>');
    must(strncmp(line + 3, tag, strlen(tag)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[4096];
    if (size < 1 || size > sizeof text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    log_setup("fuzz", 1);
    lines = 0;
    errno = ENOSPC;
    switch (data[0] % 3) {
    case 0:
        fuzz_escape(data + 1, size - 1);
        break;
    case 1:
        log_line(LOG_ERR, "it said %s, and that was all", text);
        check_line("fuzz: it said ");
        break;
    default:
        log_relay("worker", 77, (const char *)data + 1, size - 1);
        check_line(TAG);
        break;
    }
    must(errno == ENOSPC);
    return 0;
}

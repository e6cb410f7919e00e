/*
 * A worker's standard error with hostile bytes, through a real pipe: the first byte of the input
 * says in which pieces the worker writes the rest. However it does that, no line is longer than the
 * log allows, none is forged, and no more come out than went in.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log_pipe.h"

#define TAG         "worker[77]: "
#define DROPPED_TAG "fuzz: worker[77]: "

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
ssize_t __real_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);

static size_t lines;

static void must(int condition)
{
    if (!condition)
        abort();
}

static void check_line(const char *line, size_t length)
{
    must(length > 0 && length <= LOG_LINE_MAX && line[length - 1] == '\n');
    for (size_t i = 0; i + 1 < length; i++)
        must(line[i] >= ' ' && line[i] <= '~');
    must(line[0] == '<' && line[1] >= '0' + LOG_ERR && line[2] == '>');
    /* Either the worker's, under its tag, or our own that some were dropped. */
    must(strncmp(line + 3, TAG, strlen(TAG)) == 0 ||
         strncmp(line + 3, DROPPED_TAG, strlen(DROPPED_TAG)) == 0);
    lines++;
}

/* Stands in front of write(2), of which log.c makes one a line. */
ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
    if (fd != STDERR_FILENO)
        return __real_write(fd, bytes, length);
    check_line(bytes, length);
    return (ssize_t)length;
}

static size_t count_newlines(const uint8_t *data, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += data[i] == '\n';
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int loop = -1;
    struct log_pipe log = {.fd = -1};
    int ends[2];
    if (size < 1 || size > 16384)
        return 0;
    if (loop < 0)
        loop = event_loop_new();
    log_setup("fuzz", 1);
    lines = 0;
    must(loop >= 0 && pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    must(log_pipe_open(&log, loop, ends[0], "worker", 77) == 0);
    size_t piece = 1 + (size_t)data[0] * 16;
    for (size_t at = 1; at < size; at += piece) {
        size_t length = size - at < piece ? size - at : piece;
        must(write(ends[1], data + at, length) == (ssize_t)length);
        must(event_loop_run(loop, 0) == 0);
    }
    close(ends[1]);
    log_pipe_close(&log);
    must(log.fd == -1 && lines <= 2 * (count_newlines(data + 1, size - 1) + 1));
    return 0;
}

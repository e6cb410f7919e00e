#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/cloister-ticket-test-XXXXXX";

int peer_enter(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    return 0;
}

int peer_leave(void **state)
{
    (void)state;
    assert_int_equal(chdir("/"), 0);
    peer_run("rm -rf %s", folder);
    return 0;
}

void peer_write(const char *name, const void *bytes, size_t length)
{
    FILE *file = fopen(name, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

struct peer_bytes peer_read(const char *name)
{
    struct peer_bytes bytes = {NULL, 0};
    uint8_t part[65536];
    size_t got;
    FILE *file = fopen(name, "rb");
    assert_non_null(file);
    while ((got = fread(part, 1, sizeof(part), file)) > 0)
        peer_append(&bytes, part, got);
    assert_int_equal(ferror(file), 0);
    fclose(file);
    return bytes;
}

void peer_bytes_free(struct peer_bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct peer_bytes){NULL, 0};
}

__attribute__((format(printf, 1, 0))) static int run(const char *format, va_list args)
{
    char command[1024];
    int length = vsnprintf(command, sizeof(command), format, args);
    assert_true(length > 0 && (size_t)length < sizeof(command));
    int status = system(command);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

void peer_run(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int status = run(format, args);
    va_end(args);
    assert_int_equal(status, 0);
}

int peer_try(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int status = run(format, args);
    va_end(args);
    return status;
}

int peer_append(void *bytes, const void *data, size_t length)
{
    struct peer_bytes *to = bytes;
    to->data = realloc(to->data, to->length + length + 1);
    assert_non_null(to->data);
    memcpy(to->data + to->length, data, length);
    to->length += length;
    return 0;
}

void peer_pattern(uint8_t *out, size_t length, uint32_t seed)
{
    uint32_t x = seed * 2654435761U + 1;
    for (size_t i = 0; i < length; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        out[i] = (uint8_t)x;
    }
}

pid_t peer_display(void)
{
    int ends[2];
    char number[16] = "", display[20];
    assert_int_equal(pipe(ends), 0);
    pid_t server = fork();
    assert_true(server >= 0);
    if (server == 0) {
        char fd[12];
        snprintf(fd, sizeof(fd), "%d", ends[1]);
        execlp("Xvfb", "Xvfb", "-noreset", "-displayfd", fd, "-screen", "0", "1000x800x24",
               "-nolisten", "tcp", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    assert_true(read(ends[0], number, sizeof(number) - 1) > 0);
    close(ends[0]);
    number[strcspn(number, "\n")] = '\0';
    snprintf(display, sizeof(display), ":%s", number);
    setenv("DISPLAY", display, 1);
    return server;
}

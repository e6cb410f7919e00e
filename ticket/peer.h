/*
 * For tests: files in a private folder, and the stock programs that our output is checked with.
 * Everything asserts, so a caller need not check.
 */
#ifndef CLOISTER_PEER_H
#define CLOISTER_PEER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes from malloc. */
struct peer_bytes {
    uint8_t *data;
    size_t length;
};

/* cmocka's set-up of a group: makes the folder that the names below are relative to; the current
 * folder becomes it. */
int peer_enter(void **state);

/* And its end: removes it with all that is in it. */
int peer_leave(void **state);

void peer_write(const char *name, const void *bytes, size_t length);
struct peer_bytes peer_read(const char *name);
void peer_bytes_free(struct peer_bytes *bytes);

/* Runs a shell command; it must end with 0. */
void peer_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Runs a shell command and returns its exit code. */
int peer_try(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* An age_sink (age_format.h) that appends to a struct peer_bytes. */
int peer_append(void *bytes, const void *data, size_t length);

/*
 * Starts an X server (Xvfb, 1000x800) on a free display, which DISPLAY then names. End it by
 * SIGTERM and waitpid.
 */
pid_t peer_display(void);

/* Bytes that differ from place to place and are the same in each run. */
void peer_pattern(uint8_t *out, size_t length, uint32_t seed);

#endif

/*
 * Whole files, read with a bound and written so that nobody sees half of one. One thread.
 */
#ifndef CLOISTER_SIGN_FILES_H
#define CLOISTER_SIGN_FILES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes with a NUL behind them, which `length` does not count. Freed with file_free. */
struct file {
    uint8_t *bytes;
    size_t length;
    mode_t mode; /* permissions, as stat(2) gives them */
};

/*
 * Reads all of `path`, at most `most` bytes; "-" is standard input. Returns 0, -EFBIG if it is
 * longer, or -errno; then *out is empty. A path that is no regular file is read too, since shells
 * hand over pipes (/dev/fd/63), but its mode is 0.
 */
int file_read(struct file *out, const char *path, size_t most);

/* Overwrites the bytes and frees them. What is empty or zeroed is left alone. */
void file_free(struct file *file);

/* Takes white space and line ends off the end, as editors and echo(1) leave them behind. */
void file_trim(struct file *file);

/*
 * Writes a new file of these permissions, durably. Returns 0, -EEXIST if there is one of that name
 * already, or -errno; on error nothing is left behind.
 */
int file_create(const char *path, const void *bytes, size_t length, mode_t mode);

/*
 * Puts a file in the place of `path` in one step, durably, or makes it. Returns 0 or -errno; on
 * error what was there still is. A symbolic link is replaced, not followed.
 */
int file_replace(const char *path, const void *bytes, size_t length, mode_t mode);

#endif

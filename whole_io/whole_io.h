/*
 * read(2), write(2) and their kin, gone on with when they are interrupted or do a part. For files,
 * pipes and terminals that block; on others EAGAIN is an error like any.
 *
 * Any thread. Nothing but the calls named; libc alone.
 */
#ifndef CLOISTER_WHOLE_IO_H
#define CLOISTER_WHOLE_IO_H

#include <stddef.h>
#include <sys/types.h>

/* Reads to the end or until `capacity` bytes are there. Returns their number or -errno. */
ssize_t whole_read(int fd, void *out, size_t capacity);

/* The same from offset `at`, with pread(2). */
ssize_t whole_read_at(int fd, void *out, size_t capacity, off_t at);

/* Writes all `length` bytes. 0 or -errno; then a part may be written. */
int whole_write(int fd, const void *bytes, size_t length);

/* The same at offset `at`, with pwrite(2). */
int whole_write_at(int fd, const void *bytes, size_t length, off_t at);

#endif

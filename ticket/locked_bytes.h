/*
 * A growing run of bytes in locked memory (sandbox/secret_memory.h), for what must never reach a
 * disk: encoded frames and bundles before they are sealed. Wiped when it grows, shrinks or is
 * freed.
 *
 * Not thread safe: one owner at a time, who may hand it to another thread.
 */
#ifndef CLOISTER_LOCKED_BYTES_H
#define CLOISTER_LOCKED_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* All zeros is the empty value. */
struct locked_bytes {
    uint8_t *data;
    size_t length, capacity;
};

/* Appends; an argument may not lie inside. Returns 0 or -ENOMEM (then nothing changed). */
int locked_bytes_append(struct locked_bytes *bytes, const void *data, size_t length);

/* Makes room for `capacity` bytes in all. Returns 0 or -ENOMEM. */
int locked_bytes_reserve(struct locked_bytes *bytes, size_t capacity);

/* Gives back what lies more than a page behind the end. Keeps everything when memory is short. */
void locked_bytes_trim(struct locked_bytes *bytes);

/* Wipes and empties. */
void locked_bytes_clear(struct locked_bytes *bytes);

/* Moves `from` to the returned value and leaves `from` empty. */
struct locked_bytes locked_bytes_take(struct locked_bytes *from);

#endif

/*
 * Sealing to X25519 recipients as an age v1 file (https://age-encryption.org/v1), streaming.
 *
 * What is written can be opened with the stock `age -d -i KEY`. Nothing of the plaintext leaves the
 * writer unsealed; at most one chunk of it (64 KiB) waits inside, in locked memory.
 * One thread at a time per writer.
 */
#ifndef CLOISTER_AGE_WRITE_H
#define CLOISTER_AGE_WRITE_H

#include "age_format.h"

/* As many as a bundle may name on the wire (docs/wire.md); it bounds the header. */
#define AGE_WRITE_RECIPIENTS_MAX 16

struct age_write;

/*
 * Draws a file key, wraps it for each of `count` recipients (1 to AGE_WRITE_RECIPIENTS_MAX) and
 * sends the header to `sink`, which is called with `context` from within these functions only.
 * Returns 0, -EINVAL (count, or a recipient of low order), -ENOMEM, or what the sink returned.
 */
int age_write_new(struct age_write **out, const struct age_recipient *recipients, size_t count,
                  age_sink *sink, void *context);

/*
 * Seals `length` more bytes. Returns 0, -EINVAL after age_write_finish, or what the sink returned
 * (then only age_write_free may follow).
 */
int age_write_data(struct age_write *writer, const void *bytes, size_t length);

/* Seals the last chunk: only now is the file whole. Returns as age_write_data. */
int age_write_finish(struct age_write *writer);

/* Wipes and frees; NULL is allowed. Returns NULL. */
struct age_write *age_write_free(struct age_write *writer);

#endif

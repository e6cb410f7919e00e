/*
 * The bytes of bundles: `incoming/<row>.part` while they arrive, `bundles/<row>.age` once complete,
 * both below the state folder, mode 0600. A chunk is durable before it is acknowledged; the change
 * from part to whole is one rename, made durable by syncing both folders.
 *
 * A folder pair belongs to one thread; other processes may read complete bundles meanwhile.
 */
#ifndef CONSOLE_BUNDLE_FILE_H
#define CONSOLE_BUNDLE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bundle_folders {
    int incoming; /* directory descriptors */
    int bundles;
};

enum bundle_file_outcome {
    BUNDLE_FILE_ABSENT = 1,
    BUNDLE_FILE_DAMAGED, /* bytes that do not have their digest, or too few of them */
};

/* Opens, and with `create` makes, the two folders below `state` (a directory descriptor that stays
 * the caller's). 0 or -errno. bundle_folders_close is safe after either. */
int bundle_folders_open(struct bundle_folders *f, int state, bool create);
void bundle_folders_close(struct bundle_folders *f);

/* Opens row's part file for writing chunks, made when it is missing. Returns a descriptor, the
 * caller's, or -errno. */
int bundle_file_part(const struct bundle_folders *f, int64_t row);

/* Writes chunk `index` and makes it durable (fdatasync). 0 or -errno. */
int bundle_file_write(int fd, uint32_t index, const uint8_t *data, size_t length);

/*
 * Counts the chunks, from `from` on, that `fd` holds whole and with the right digest; stops at the
 * first that is not. `size` is the bundle's, `digests` its list. Cuts the file after the last good
 * chunk if `cut`. Returns 0 with the index of the first chunk that is missing in `have`, or -errno.
 */
int bundle_file_verify(int fd, const uint8_t *digests, uint64_t size, uint32_t from, bool cut,
                       uint32_t *have);

/* Turns the part file into the bundle: rename, then sync of both folders. 0 or -errno. */
int bundle_file_finish(const struct bundle_folders *f, int64_t row);

/* Opens a whole bundle for reading: a descriptor, BUNDLE_FILE_ABSENT as -ENOENT, or -errno. */
int bundle_file_open(const struct bundle_folders *f, int64_t row);

/* Removes what there is of a bundle that is not complete, part file or renamed. 0 or -errno. */
int bundle_file_remove(const struct bundle_folders *f, int64_t row);

/*
 * Copies a whole bundle of `size` bytes from `in` to `out`, checking every chunk before writing
 * it. 0, BUNDLE_FILE_DAMAGED, or -errno.
 */
int bundle_file_copy(int in, int out, const uint8_t *digests, uint64_t size);

/* SHA-256 of a chunk. OpenSSL's, which uses the processor's instructions; libsodium's does not, and
 * this is most of what receiving a bundle costs. False if OpenSSL fails. */
bool bundle_file_digest(uint8_t out[32], const uint8_t *data, size_t length);

/* The number of bytes of chunk `index` in a bundle of `size` bytes. */
size_t bundle_file_chunk_length(uint64_t size, uint32_t index);

#endif

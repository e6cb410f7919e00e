#include "bundle_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "message.h"
#include "state_folder.h"
#include "whole_io.h"

#define NAME_TEXT 32

static void part_name(char out[NAME_TEXT], int64_t row)
{
    snprintf(out, NAME_TEXT, "%" PRId64 ".part", row);
}

static void whole_name(char out[NAME_TEXT], int64_t row)
{
    snprintf(out, NAME_TEXT, "%" PRId64 ".age", row);
}

int bundle_folders_open(struct bundle_folders *f, int state, bool create)
{
    f->bundles = -1;
    f->incoming = state_folder_below(state, "incoming", create);
    if (f->incoming < 0)
        return f->incoming;
    f->bundles = state_folder_below(state, "bundles", create);
    if (f->bundles < 0)
        return f->bundles;
    return create && fsync(state) != 0 ? -errno : 0;
}

void bundle_folders_close(struct bundle_folders *f)
{
    if (f->incoming >= 0)
        close(f->incoming);
    if (f->bundles >= 0)
        close(f->bundles);
    f->incoming = f->bundles = -1;
}

int bundle_file_part(const struct bundle_folders *f, int64_t row)
{
    char name[NAME_TEXT];
    part_name(name, row);
    int fd = openat(f->incoming, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    /* A chunk is only as durable as the name of its file. */
    if (fsync(f->incoming) != 0) {
        int result = -errno;
        close(fd);
        return result;
    }
    return fd;
}

int bundle_file_write(int fd, uint32_t index, const uint8_t *data, size_t length)
{
    int result = whole_write_at(fd, data, length, (off_t)index * MESSAGE_CHUNK_BYTES);
    if (!result && fdatasync(fd) != 0)
        result = -errno;
    return result;
}

bool bundle_file_digest(uint8_t out[32], const uint8_t *data, size_t length)
{
    return EVP_Digest(data, length, out, NULL, EVP_sha256(), NULL) == 1;
}

size_t bundle_file_chunk_length(uint64_t size, uint32_t index)
{
    uint64_t begin = (uint64_t)index * MESSAGE_CHUNK_BYTES;
    if (begin >= size)
        return 0;
    return size - begin < MESSAGE_CHUNK_BYTES ? (size_t)(size - begin) : MESSAGE_CHUNK_BYTES;
}

/* Reads chunk `index`. 1: it has its digest; 0: it has not or is short; or -errno. */
static int read_chunk(int fd, uint32_t index, uint8_t *data, size_t length, const uint8_t *digest)
{
    uint8_t found[32];
    ssize_t n = whole_read_at(fd, data, length, (off_t)index * MESSAGE_CHUNK_BYTES);
    if (n != (ssize_t)length)
        return n < 0 ? (int)n : 0;
    return bundle_file_digest(found, data, length) && memcmp(found, digest, sizeof(found)) == 0;
}

int bundle_file_verify(int fd, const uint8_t *digests, uint64_t size, uint32_t from, bool cut,
                       uint32_t *have)
{
    uint8_t *data = malloc(MESSAGE_CHUNK_BYTES);
    if (!data)
        return -ENOMEM;
    int result = 1;
    uint32_t index = from;
    for (size_t length; (length = bundle_file_chunk_length(size, index)) > 0; index++) {
        result = read_chunk(fd, index, data, length, digests + (size_t)index * 32);
        if (result != 1)
            break;
    }
    free(data);
    if (result < 0)
        return result;
    *have = index;
    uint64_t end = (uint64_t)index * MESSAGE_CHUNK_BYTES;
    if (cut && ftruncate(fd, (off_t)(end < size ? end : size)) != 0)
        return -errno;
    return 0;
}

int bundle_file_finish(const struct bundle_folders *f, int64_t row)
{
    char part[NAME_TEXT], whole[NAME_TEXT];
    part_name(part, row);
    whole_name(whole, row);
    if (renameat(f->incoming, part, f->bundles, whole) != 0)
        return -errno;
    return fsync(f->bundles) != 0 || fsync(f->incoming) != 0 ? -errno : 0;
}

int bundle_file_open(const struct bundle_folders *f, int64_t row)
{
    char name[NAME_TEXT];
    whole_name(name, row);
    int fd = openat(f->bundles, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int bundle_file_remove(const struct bundle_folders *f, int64_t row)
{
    char name[NAME_TEXT];
    part_name(name, row);
    if (unlinkat(f->incoming, name, 0) != 0 && errno != ENOENT)
        return -errno;
    whole_name(name, row);
    if (unlinkat(f->bundles, name, 0) != 0 && errno != ENOENT)
        return -errno;
    return 0;
}

int bundle_file_copy(int in, int out, const uint8_t *digests, uint64_t size)
{
    uint8_t *data = malloc(MESSAGE_CHUNK_BYTES);
    if (!data)
        return -ENOMEM;
    int result = 0;
    size_t length;
    for (uint32_t i = 0; !result && (length = bundle_file_chunk_length(size, i)) > 0; i++) {
        int good = read_chunk(in, i, data, length, digests + (size_t)i * 32);
        result = good < 0 ? good : good ? whole_write(out, data, length) : BUNDLE_FILE_DAMAGED;
    }
    free(data);
    return result;
}

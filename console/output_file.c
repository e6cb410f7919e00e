#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <sodium.h>

#include "state_folder.h"
#include "whole_io.h"

#define NAME_TEXT 32
#define KEY_BYTES 16 /* of the head: what the checksum is keyed with */

_Static_assert(KEY_BYTES == crypto_shorthash_KEYBYTES, "the head keys the checksum");
_Static_assert(KEY_BYTES + crypto_shorthash_BYTES == OUTPUT_RECORD_HEAD, "head");

static const uint8_t magic[4] = {'O', 'U', 'T', '1'};

static void file_name(char out[NAME_TEXT], int64_t row)
{
    snprintf(out, NAME_TEXT, "%" PRId64 ".out", row);
}

static void put_u32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_u32(const uint8_t *in)
{
    return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

int output_folder_open(int state, bool create)
{
    int fd = state_folder_below(state, "commands", create);
    if (fd < 0)
        return fd;
    if (create && fsync(state) != 0) {
        int result = -errno;
        close(fd);
        return result;
    }
    return fd;
}

void output_folder_announce(int folder)
{
    (void)futimens(folder, NULL);
}

/* 1 when all `length` bytes were there, 0 when the file ends before, or -errno. */
static int read_at(int fd, void *out, size_t length, uint64_t offset)
{
    ssize_t n = whole_read_at(fd, out, length, (off_t)offset);
    return n < 0 ? (int)n : n == (ssize_t)length;
}

int output_file_next(int fd, uint64_t *offset, struct output_record *record, uint8_t *content)
{
    uint8_t head[OUTPUT_RECORD_HEAD], sum[crypto_shorthash_BYTES], first;
    int result = read_at(fd, &first, 1, *offset);
    if (result != 1)
        return result == 0 ? OUTPUT_END : result;
    result = read_at(fd, head, sizeof(head), *offset);
    if (result != 1)
        return result == 0 ? OUTPUT_DAMAGED : result;
    uint32_t stream = get_u32(head + 4), length = get_u32(head + 12);
    if (memcmp(head, magic, sizeof(magic)) != 0 || stream > 1 || length == 0 ||
        length > OUTPUT_CHUNK_MAX)
        return OUTPUT_DAMAGED;
    result = read_at(fd, content, length, *offset + sizeof(head));
    if (result != 1)
        return result == 0 ? OUTPUT_DAMAGED : result;
    crypto_shorthash(sum, content, length, head);
    if (memcmp(sum, head + KEY_BYTES, sizeof(sum)) != 0)
        return OUTPUT_DAMAGED;
    *record = (struct output_record){stream, get_u32(head + 8), length};
    *offset += sizeof(head) + length;
    return 0;
}

/* Moves `place` past every whole record that follows it. */
static int look_through(int fd, struct output_place *place)
{
    uint8_t *content = malloc(OUTPUT_CHUNK_MAX);
    struct output_record record;
    uint64_t offset = place->size;
    int result;
    if (!content)
        return -ENOMEM;
    while ((result = output_file_next(fd, &offset, &record, content)) == 0) {
        if (record.index < place->chunks[record.stream] || record.index == UINT32_MAX)
            break;
        place->chunks[record.stream] = record.index + 1;
        place->size = offset;
    }
    free(content);
    return result < 0 ? result : 0;
}

static int recover(struct output_file *f, int folder, const struct output_place *noted)
{
    struct stat status;
    struct output_place place = *noted;
    if (fstat(f->fd, &status) != 0)
        return -errno;
    if ((uint64_t)status.st_size < noted->size)
        memset(&place, 0, sizeof(place));
    int result = look_through(f->fd, &place);
    if (result)
        return result;
    if ((uint64_t)status.st_size > place.size && ftruncate(f->fd, (off_t)place.size) != 0)
        return -errno;
    /* What was found beyond the noted place may have been in memory only. */
    if (place.size > noted->size && fdatasync(f->fd) != 0)
        return -errno;
    /* A chunk is only as durable as the name of its file. */
    if (noted->size == 0 && fsync(folder) != 0)
        return -errno;
    f->written = f->durable = place;
    return 0;
}

int output_file_open(struct output_file *f, int folder, int64_t row, bool create,
                     const struct output_place *noted)
{
    char name[NAME_TEXT];
    int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | (create ? O_CREAT : 0);
    file_name(name, row);
    memset(f, 0, sizeof(*f));
    f->fd = openat(folder, name, flags, 0600);
    if (f->fd < 0)
        return -errno;
    int result = recover(f, folder, noted);
    if (result)
        output_file_close(f);
    return result;
}

void output_file_close(struct output_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

/* All of it, or nothing and -errno. */
static int write_record(int fd, const uint8_t head[OUTPUT_RECORD_HEAD], const uint8_t *data,
                        size_t length, uint64_t offset)
{
    size_t done = 0, whole = OUTPUT_RECORD_HEAD + length;
    while (done < whole) {
        size_t skip = done < OUTPUT_RECORD_HEAD ? 0 : done - OUTPUT_RECORD_HEAD;
        struct iovec parts[2] = {
            {(void *)(uintptr_t)(head + done),
             done < OUTPUT_RECORD_HEAD ? OUTPUT_RECORD_HEAD - done : 0},
            {(void *)(uintptr_t)(data + skip), length - skip},
        };
        if (done >= OUTPUT_RECORD_HEAD)
            parts[0] = (struct iovec){NULL, 0};
        ssize_t n = pwritev(fd, parts, 2, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int result = n < 0 ? -errno : -EIO;
            (void)!ftruncate(fd, (off_t)offset);
            return result;
        }
        done += (size_t)n;
    }
    return 0;
}

int output_file_append(struct output_file *f, unsigned stream, uint32_t index, const uint8_t *data,
                       size_t length)
{
    uint8_t head[OUTPUT_RECORD_HEAD];
    memcpy(head, magic, sizeof(magic));
    put_u32(head + 4, stream);
    put_u32(head + 8, index);
    put_u32(head + 12, (uint32_t)length);
    crypto_shorthash(head + KEY_BYTES, data, length, head);
    int result = write_record(f->fd, head, data, length, f->written.size);
    if (result)
        return result;
    f->written.size += sizeof(head) + length;
    f->written.chunks[stream] = index + 1;
    return 0;
}

int output_file_sync(struct output_file *f)
{
    if (f->written.size != f->durable.size && fdatasync(f->fd) != 0)
        return -errno;
    f->durable = f->written;
    return 0;
}

int output_file_read(int folder, int64_t row)
{
    char name[NAME_TEXT];
    file_name(name, row);
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int output_file_remove(int folder, int64_t row)
{
    char name[NAME_TEXT];
    file_name(name, row);
    return unlinkat(folder, name, 0) != 0 && errno != ENOENT ? -errno : 0;
}

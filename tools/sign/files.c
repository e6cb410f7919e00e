#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "whole_io.h"

#define READ_FIRST 65536

/* Makes room for at least one more byte and the NUL. The old bytes may be secret. */
static int grow(struct file *file, size_t *capacity)
{
    size_t wanted = *capacity ? *capacity * 2 : READ_FIRST;
    uint8_t *bytes = malloc(wanted + 1);
    if (!bytes)
        return -ENOMEM;
    if (file->bytes) {
        memcpy(bytes, file->bytes, file->length);
        explicit_bzero(file->bytes, file->length);
        free(file->bytes);
    }
    file->bytes = bytes;
    *capacity = wanted;
    return 0;
}

static int read_all(struct file *file, int fd, size_t most)
{
    size_t capacity = 0;
    for (;;) {
        if (file->length == capacity && grow(file, &capacity))
            return -ENOMEM;
        ssize_t got = read(fd, file->bytes + file->length, capacity - file->length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        file->length += (size_t)got;
        if (file->length > most)
            return -EFBIG;
    }
    file->bytes[file->length] = '\0';
    return 0;
}

int file_read(struct file *out, const char *path, size_t most)
{
    struct stat status;
    int fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                    : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    *out = (struct file){0};
    if (fd < 0)
        return -errno;
    int result = read_all(out, fd, most);
    if (result == 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        out->mode = status.st_mode & 07777;
    close(fd);
    if (result)
        file_free(out);
    return result;
}

void file_free(struct file *file)
{
    if (file->bytes)
        explicit_bzero(file->bytes, file->length);
    free(file->bytes);
    *file = (struct file){0};
}

void file_trim(struct file *file)
{
    while (file->length && memchr(" \t\r\n", file->bytes[file->length - 1], 4))
        file->bytes[--file->length] = '\0';
}

static int write_durably(int fd, const uint8_t *bytes, size_t length)
{
    int result = whole_write(fd, bytes, length);
    if (!result && fsync(fd) && errno != EINVAL) /* EINVAL: no file but a device */
        result = -errno;
    return result;
}

static int sync_folder(const char *path)
{
    char *copy = strdup(path);
    int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int result = fd < 0 || (fsync(fd) && errno != EINVAL) ? -errno : 0;
    if (fd >= 0)
        close(fd);
    free(copy);
    return result;
}

int file_create(const char *path, const void *bytes, size_t length, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, mode & 0777);
    if (fd < 0)
        return -errno;
    int result = write_durably(fd, bytes, length);
    if (close(fd) && !result)
        result = -errno;
    if (!result)
        result = sync_folder(path);
    if (result)
        unlink(path);
    return result;
}

int file_replace(const char *path, const void *bytes, size_t length, mode_t mode)
{
    char *fresh;
    if (asprintf(&fresh, "%s.new-XXXXXX", path) < 0)
        return -ENOMEM;
    int fd = mkostemp(fresh, O_CLOEXEC);
    int result = fd < 0 ? -errno : write_durably(fd, bytes, length);
    if (!result && fchmod(fd, mode))
        result = -errno;
    if (fd >= 0 && close(fd) && !result)
        result = -errno;
    if (!result && rename(fresh, path))
        result = -errno;
    if (result && fd >= 0)
        unlink(fresh);
    free(fresh);
    return result ? result : sync_folder(path);
}

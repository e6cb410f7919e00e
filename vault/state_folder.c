#include "state_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "whole_io.h"

#define OTHERS (S_IRWXG | S_IRWXO)

/* The system call itself: glibc's fstat is newfstatat, which takes paths as well. */
static int look(int fd, struct stat *st)
{
    return syscall(SYS_fstat, fd, st) < 0 ? -errno : 0;
}

int state_folder_open(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int state_folder_check(int folder)
{
    struct stat st;
    int error = look(folder, &st);
    if (error)
        return error;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    return st.st_uid == geteuid() && !(st.st_mode & OTHERS) ? 0 : -EPERM;
}

static int check_file_as(int fd, struct stat *st)
{
    int error = look(fd, st);
    if (error)
        return error;
    int ours = S_ISREG(st->st_mode) && st->st_nlink == 1 && st->st_uid == geteuid();
    return ours && !(st->st_mode & OTHERS) ? 0 : -EPERM;
}

static int check_file(int fd)
{
    struct stat st;
    return check_file_as(fd, &st);
}

static int read_open_file(int fd, void *out, size_t capacity, size_t *length)
{
    int error = check_file(fd);
    if (error)
        return error;
    ssize_t n = whole_read(fd, out, capacity);
    if (n < 0)
        return (int)n;
    uint8_t more;
    ssize_t rest = whole_read(fd, &more, 1);
    if (rest != 0)
        return rest < 0 ? (int)rest : STATE_TOO_LONG;
    *length = (size_t)n;
    return STATE_READ;
}

int state_file_read(int folder, const char *name, void *out, size_t capacity, size_t *length)
{
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? STATE_MISSING : errno == ELOOP ? -EPERM : -errno;
    int result = read_open_file(fd, out, capacity, length);
    close(fd);
    return result;
}

int state_file_exists(int folder, const char *name)
{
    int fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    close(fd);
    return 1;
}

/* Makes the file anew, whatever an interrupted write has left there. */
static int create(int folder, const char *name)
{
    if (unlinkat(folder, name, 0) < 0 && errno != ENOENT)
        return -errno;
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

static int fill(int fd, const void *bytes, size_t length)
{
    int error = whole_write(fd, bytes, length);
    if (!error && fsync(fd) < 0)
        error = -errno;
    if (close(fd) < 0 && !error)
        error = -errno;
    return error;
}

static int sync_folder(int folder)
{
    return fsync(folder) < 0 ? -errno : 0;
}

int state_file_write(int folder, const char *name, const void *bytes, size_t length)
{
    char fresh[STATE_NAME_MAX];
    int n = snprintf(fresh, sizeof fresh, "%s.new", name);
    if (n < 0 || (size_t)n >= sizeof fresh)
        return -ENAMETOOLONG;
    int fd = create(folder, fresh);
    if (fd < 0)
        return fd;
    int error = fill(fd, bytes, length);
    if (!error && renameat2(folder, fresh, folder, name, 0) < 0)
        error = -errno;
    if (error) {
        unlinkat(folder, fresh, 0);
        return error;
    }
    return sync_folder(folder);
}

int state_file_set_aside(int folder, const char *name, uint64_t now_ms, char aside[STATE_NAME_MAX])
{
    for (int attempt = 0; attempt < 1000; attempt++, now_ms++) {
        int n = snprintf(aside, STATE_NAME_MAX, "%s.bad-%" PRIu64, name, now_ms);
        if (n < 0 || n >= STATE_NAME_MAX)
            return -ENAMETOOLONG;
        if (renameat2(folder, name, folder, aside, RENAME_NOREPLACE) == 0)
            return sync_folder(folder);
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

/* ---------------------------------------------------------------- files that stay open */

int state_file_open(int folder, const char *name, struct state_file *file)
{
    struct stat st;
    file->fd = openat(folder, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file->fd < 0)
        return errno == ELOOP || errno == EISDIR || errno == ENXIO ? -EPERM : -errno;
    int error = check_file_as(file->fd, &st);
    if (error) {
        state_file_close(file);
        return error;
    }
    file->device = st.st_dev;
    file->inode = st.st_ino;
    file->size = st.st_size;
    return 0;
}

void state_file_close(struct state_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

int state_file_read_at(const struct state_file *file, void *out, size_t length, off_t at)
{
    ssize_t n = whole_read_at(file->fd, out, length, at);
    return n < 0 ? (int)n : n == (ssize_t)length ? 0 : -EIO;
}

int state_file_measure(struct state_file *file)
{
    struct stat st;
    int error = look(file->fd, &st);
    if (!error)
        file->size = st.st_size;
    return error;
}

int state_file_changed(const struct state_file *file, uint64_t *ns)
{
    struct stat st;
    int error = look(file->fd, &st);
    if (!error)
        *ns = (uint64_t)st.st_ctim.tv_sec * 1000000000 + (uint64_t)st.st_ctim.tv_nsec;
    return error;
}

static int is_the_one(const struct stat *st, const struct state_file *file)
{
    return st->st_dev == file->device && st->st_ino == file->inode;
}

int state_file_in_place(int folder, const char *name, const struct state_file *file)
{
    struct stat named, open_one;
    int fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    int error = look(fd, &named);
    close(fd);
    if (!error)
        error = check_file_as(file->fd, &open_one);
    if (error)
        return error == -EPERM ? 0 : error;
    return is_the_one(&named, file) && is_the_one(&open_one, file) &&
           open_one.st_size == file->size;
}

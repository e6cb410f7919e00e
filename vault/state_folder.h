/*
 * Small files in one folder that belongs to this process alone, written so that a crash, a power
 * cut or a full disk at any moment leaves either the old content or the new.
 *
 * The folder is a descriptor; every name is relative to it, and no link is followed. System calls:
 * openat, fstat, read, pread64, write, fsync, renameat (glibc takes it for renameat2 without
 * flags), renameat2, unlinkat, close. One process and one thread at a time.
 */
#ifndef CLOISTER_VAULT_STATE_FOLDER_H
#define CLOISTER_VAULT_STATE_FOLDER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The longest name, terminator included, suffix of a file that was set aside included. */
#define STATE_NAME_MAX 64

enum state_outcome {
    STATE_READ = 0,
    STATE_MISSING,
    STATE_TOO_LONG, /* longer than the caller's buffer */
};

/* Opens the folder. Returns a descriptor (close-on-exec), which the caller closes, or -errno. */
int state_folder_open(const char *path);

/*
 * Checks that `folder` is a directory of this process's effective uid that nobody else may enter
 * (mode 0700 or less). Returns 0, -ENOTDIR, -EPERM or another -errno.
 */
int state_folder_check(int folder);

/*
 * Reads the whole file into `out`. Returns STATE_READ with *length, STATE_MISSING, STATE_TOO_LONG,
 * or -errno: -EPERM when it is not a plain file with one name, of this uid, closed to others.
 */
int state_file_read(int folder, const char *name, void *out, size_t capacity, size_t *length);

/* 1 if there is something of that name, 0 if not, or -errno. */
int state_file_exists(int folder, const char *name);

/*
 * Replaces the file's content durably: "<name>.new" is written with mode 0600 (less what the
 * umask takes), synced, renamed over
 * `name`, and the folder is synced. When it returns 0 the new content survives a power cut. Returns
 * -errno (-ENOSPC, -EDQUOT, -EROFS, -EIO ...) otherwise; then the old content is there as it was,
 * except that after a failed sync of the folder either may be.
 */
int state_file_write(int folder, const char *name, const void *bytes, size_t length);

/*
 * Renames the file to "<name>.bad-<now_ms>" (a later number if that is taken), durably, and writes
 * the new name to `aside`. Nothing is ever overwritten. Returns 0 or -errno; -ENOENT when there is
 * no such file.
 */
int state_file_set_aside(int folder, const char *name, uint64_t now_ms, char aside[STATE_NAME_MAX]);

/* A file that stays open and is written in place. */
struct state_file {
    int fd; /* -1: not open */
    dev_t device;
    ino_t inode;
    off_t size; /* bytes, as it was when it was opened or measured */
};

/*
 * Opens a file that exists, to read and to write. Returns 0; -ENOENT; -EPERM when it is not a plain
 * file with one name, of this uid, closed to others; or another -errno. file->fd is -1 unless 0.
 */
int state_file_open(int folder, const char *name, struct state_file *file);

/* Closes it if it is open. */
void state_file_close(struct state_file *file);

/* Reads exactly `length` bytes at `at`. Returns 0, or -errno: -EIO if the file ends before. */
int state_file_read_at(const struct state_file *file, void *out, size_t length, off_t at);

/* Looks how long it is now. Returns 0 or -errno. */
int state_file_measure(struct state_file *file);

/*
 * When its content or its inode was last changed, by the kernel's word (st_ctim, which no call can
 * set): nanoseconds since 1970. Returns 0 or -errno.
 */
int state_file_changed(const struct state_file *file, uint64_t *ns);

/*
 * Whether `name` is still this file, with no other name and as long as it was: 1, 0, or -errno.
 */
int state_file_in_place(int folder, const char *name, const struct state_file *file);

#endif

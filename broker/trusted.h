/*
 * Files and folders that only root can have written. Any thread.
 */
#ifndef CLOISTER_TRUSTED_H
#define CLOISTER_TRUSTED_H

/*
 * Opens `path` under directory `at` (AT_FDCWD for none) if it is of `type` (S_IFREG or S_IFDIR),
 * owned by root, and not writable by group or others. `flags` are those of open(2), O_CLOEXEC is
 * added. Returns the descriptor, owned by the caller, or -errno: -EPERM for an owner or mode that
 * cannot be trusted, -EINVAL for another type.
 */
int trusted_open(int at, const char *path, int flags, unsigned type);

/* Such an error in words. */
const char *trusted_error(int error);

#endif

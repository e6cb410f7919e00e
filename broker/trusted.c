#include "trusted.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int trusted_open(int at, const char *path, int flags, unsigned type)
{
    struct stat st;
    int fd = openat(at, path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    int result = fstat(fd, &st) != 0                         ? -errno
                 : (st.st_mode & S_IFMT) != type             ? -EINVAL
                 : st.st_uid != 0 || (st.st_mode & 022) != 0 ? -EPERM
                                                             : 0;
    if (result != 0)
        close(fd);
    return result == 0 ? fd : result;
}

const char *trusted_error(int error)
{
    return error == -EPERM    ? "must belong to root and be writable by nobody else"
           : error == -EINVAL ? "is of another type than it should be"
                              : strerror(-error);
}

#include "state_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

int state_folder_take(struct state_folder *f, const char *path)
{
    struct stat status;
    f->fd = f->lock = -1;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return -errno;
    f->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->fd < 0 || fstat(f->fd, &status) != 0)
        return -errno;
    if (status.st_uid != geteuid() || (status.st_mode & 077)) {
        log_error("%s: must belong to the user of the console and be closed to others (0700)",
                  path);
        return -EPERM;
    }
    f->lock = openat(f->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->lock < 0)
        return -errno;
    /* Open file description locks can be asked after without being taken (state_folder_served
     * does). */
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(f->lock, F_OFD_SETLK, &lock) != 0) {
        log_error("%s: another console serves this folder", path);
        return -EBUSY;
    }
    return 0;
}

void state_folder_leave(struct state_folder *f)
{
    if (f->lock >= 0)
        close(f->lock);
    if (f->fd >= 0)
        close(f->fd);
    f->fd = f->lock = -1;
}

int state_folder_below(int state, const char *name, bool create)
{
    if (create && mkdirat(state, name, 0700) != 0 && errno != EEXIST)
        return -errno;
    int fd = openat(state, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

bool state_folder_served(int fd)
{
    int file = openat(fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return false;
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    bool held = fcntl(file, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    close(file);
    return held;
}

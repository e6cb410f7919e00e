#include "wake.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "wake"

int wake_listen(int state)
{
    if (unlinkat(state, NAME, 0) != 0 && errno != ENOENT)
        return -errno;
    if (mkfifoat(state, NAME, 0600) != 0)
        return -errno;
    /* Open for writing too, it never comes to an end when a writer leaves (fifo(7)). */
    int fd = openat(state, NAME, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void wake_drain(int fd)
{
    char bytes[256];
    while (read(fd, bytes, sizeof(bytes)) == sizeof(bytes))
        ;
}

void wake_server(int state)
{
    struct stat status;
    int fd = openat(state, NAME, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    /* A full FIFO has woken it already. */
    if (fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode))
        (void)!write(fd, "", 1);
    close(fd);
}

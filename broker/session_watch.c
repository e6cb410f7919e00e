/* The part of session.h that runs as root: it looks at names, not into files. */
#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "session.h"

int session_watch(const char *run)
{
    static const char *const folders[] = {"seats", "sessions"};
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), result = fd < 0 ? -errno : 0;
    for (int i = 0; i < 2 && result == 0; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/systemd/%s", run, folders[i]);
        if (inotify_add_watch(fd, path, IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE | IN_ONLYDIR) < 0)
            result = -errno;
    }
    if (result != 0 && fd >= 0)
        close(fd);
    return result == 0 ? fd : result;
}

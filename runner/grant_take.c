#include "grant_take.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor_protocol.h"

static bool is_sealed(int fd)
{
    const int wanted = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS); /* refused by all but memfds */
    return seals >= 0 && (seals & wanted) == wanted && fstat(fd, &status) == 0 &&
           status.st_size == (off_t)sizeof(struct grant);
}

static bool is_runners(const struct grant *grant)
{
    return grant->magic == GRANT_MAGIC && grant->slot < MONITOR_COMMAND_SLOT &&
           grant->generation > 0 && grant->profile >= MONITOR_PROFILE_DIAGNOSTIC &&
           grant->profile <= MONITOR_PROFILE_ADMIN && !grant->groups[0][0];
}

int grant_take(int fd, struct grant *out)
{
    int error = is_sealed(fd) ? 0 : -EPROTO;
    if (!error && pread(fd, out, sizeof *out, 0) != (ssize_t)sizeof *out)
        error = -EIO;
    close(fd);
    if (!error && is_runners(out))
        return 0;
    explicit_bzero(out, sizeof *out);
    return error ? error : -EPROTO;
}

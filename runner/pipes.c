#include "pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOLDS                                                                                      \
    1048576 /* of an output pipe; the most that /proc/sys/fs/pipe-max-size allows by default */

void pipes_close(int *end)
{
    if (*end >= 0)
        close(*end);
    *end = -1;
}

void pipes_given(struct pipes *pipes)
{
    for (int i = 0; i < LINK_DESCRIPTORS; i++)
        pipes_close(&pipes->theirs[i]);
}

/*
 * `ours` is the end that does not block: the reading one of an output pipe. The command, another
 * account, may open its own end again by name: /dev/stderr, /proc/self/fd/0.
 */
static bool open_pipe(int *reads, int *writes, const int *ours)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    *reads = ends[0];
    *writes = ends[1];
    return fcntl(*ours, F_SETFL, O_NONBLOCK) == 0 &&
           fchmod(ends[0], ours == writes ? 0644 : 0622) == 0;
}

static bool open_all(struct pipes *out)
{
    if (!open_pipe(&out->theirs[0], &out->in, &out->in))
        return false;
    for (int i = 0; i < STREAMS; i++) {
        if (!open_pipe(&out->from[i], &out->theirs[1 + i], &out->from[i]))
            return false;
        /* Smaller is slower, and nothing else. */
        (void)fcntl(out->from[i], F_SETPIPE_SZ, HOLDS);
    }
    return true;
}

int pipes_open(struct pipes *out)
{
    *out = (struct pipes){{-1, -1, -1}, -1, {-1, -1}};
    if (open_all(out))
        return 0;
    int error = -errno;
    pipes_given(out);
    pipes_close(&out->in);
    for (int i = 0; i < STREAMS; i++)
        pipes_close(&out->from[i]);
    return error;
}

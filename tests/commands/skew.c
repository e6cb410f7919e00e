/*
 * A vault whose wall clock a test sets: seconds in the file "skew" of its state folder, added to
 * what the kernel says. Linked in front of clock_gettime(2); everything else is the shipped code,
 * behind the shipped filter.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* What ld --wrap calls the two. */
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

static long skew(void)
{
    char text[32];
    int fd = open("/state/skew", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = 0;
    return strtol(text, NULL, 10);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = __real_clock_gettime(clock, now);
    if (result == 0 && clock == CLOCK_REALTIME)
        now->tv_sec += skew();
    return result;
}

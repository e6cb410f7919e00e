/*
 * The two clocks of the console: wall time for what is stored and shown, monotonic time for
 * time-outs. Both in milliseconds; callable from any thread.
 */
#ifndef CONSOLE_CLOCKS_H
#define CONSOLE_CLOCKS_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clocks_read_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Milliseconds since 1970-01-01 UTC; jumps when the clock is set. */
static inline uint64_t clocks_wall_ms(void)
{
    return clocks_read_ms(CLOCK_REALTIME);
}

/* Milliseconds since an arbitrary moment; never goes back, counts sleep. */
static inline uint64_t clocks_mono_ms(void)
{
    return clocks_read_ms(CLOCK_BOOTTIME);
}

#endif

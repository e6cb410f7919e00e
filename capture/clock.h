/* The clocks that capture uses. Any thread. */
#ifndef CLOISTER_CAPTURE_CLOCK_H
#define CLOISTER_CAPTURE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Microseconds of one clock of clock_gettime(2). */
static inline uint64_t clock_us(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Never goes back, and runs on while the machine sleeps: a frame's age is real time. */
static inline uint64_t clock_ms(void)
{
    return clock_us(CLOCK_BOOTTIME) / 1000;
}

static inline uint64_t clock_unix_ms(void)
{
    return clock_us(CLOCK_REALTIME) / 1000;
}

#endif

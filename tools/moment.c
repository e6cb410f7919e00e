#include "moment.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

uint32_t moment_read_span(const char *text, uint32_t most)
{
    uint64_t value = 0;
    size_t digits = 0;
    for (; *text >= '0' && *text <= '9' && digits < 9; text++, digits++)
        value = value * 10 + (uint64_t)(*text - '0');
    uint64_t unit = *text == 's' ? 1 : *text == 'm' ? 60 : *text == 'h' ? 3600 : 0;
    if (digits == 0 || unit == 0 || text[1] != '\0')
        return 0;
    value *= unit;
    return value > most ? 0 : (uint32_t)value;
}

void moment_write_span(char out[MOMENT_MAX], uint64_t ms)
{
    uint64_t s = ms / 1000, m = s / 60, h = m / 60, d = h / 24;
    if (s < 60)
        snprintf(out, MOMENT_MAX, "%" PRIu64 " s", s);
    else if (m < 60)
        snprintf(out, MOMENT_MAX, "%" PRIu64 " min %" PRIu64 " s", m, s % 60);
    else if (h < 24)
        snprintf(out, MOMENT_MAX, "%" PRIu64 " h %" PRIu64 " min", h, m % 60);
    else
        snprintf(out, MOMENT_MAX, "%" PRIu64 " d %" PRIu64 " h", d, h % 24);
}

void moment_write(char out[MOMENT_MAX], uint64_t unix_ms)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm parts;
    strcpy(out, "-");
    if (unix_ms && localtime_r(&seconds, &parts) &&
        strftime(out, MOMENT_MAX, "%Y-%m-%d %H:%M:%S", &parts) == 0)
        strcpy(out, "-"); /* a year of more digits than fit */
}

void moment_write_bytes(char out[MOMENT_MAX], uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes / 1024;
    size_t unit = 0;
    if (bytes < 1024) {
        snprintf(out, MOMENT_MAX, "%" PRIu64 " B", bytes);
        return;
    }
    while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    snprintf(out, MOMENT_MAX, "%.1f %s", value, units[unit]);
}

uint64_t moment_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

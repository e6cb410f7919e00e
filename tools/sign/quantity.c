#include "quantity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The number in front; moves *text behind it. At most 16 digits, so nothing overflows. */
static bool digits(uint64_t *out, const char **text)
{
    size_t count = 0;
    *out = 0;
    for (; **text >= '0' && **text <= '9' && count <= 16; (*text)++, count++)
        *out = *out * 10 + (uint64_t)(**text - '0');
    return count > 0 && count <= 16;
}

struct unit {
    const char *name;
    uint64_t value;
};

static bool with_unit(uint64_t *out, const char *text, const struct unit *units, uint64_t most)
{
    uint64_t number;
    if (!digits(&number, &text))
        return false;
    while (units->name && strcmp(units->name, text) != 0)
        units++;
    if (!units->name || number > most / units->value)
        return false;
    *out = number * units->value;
    return true;
}

bool quantity_span_ms(uint64_t *out, const char *text, uint64_t most)
{
    static const struct unit units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                        {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
    return with_unit(out, text, units, most);
}

bool quantity_size(uint64_t *out, const char *text, uint64_t most)
{
    static const struct unit units[] = {
        {"", 1}, {"K", 1024}, {"M", 1048576}, {"G", 1073741824}, {NULL, 0}};
    return with_unit(out, text, units, most);
}

bool quantity_number(uint64_t *out, const char *text, uint64_t least, uint64_t most)
{
    return digits(out, &text) && *text == '\0' && *out >= least && *out <= most;
}

/* "12", "12:30" and so on: two digits below `limit`. */
static bool pair(int *out, const char **text, int limit)
{
    const char *at = *text;
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9')
        return false;
    *out = (at[0] - '0') * 10 + at[1] - '0';
    *text += 2;
    return *out < limit;
}

static bool read_date(struct tm *out, const char **text)
{
    int century, year;
    if (!pair(&century, text, 100) || !pair(&year, text, 100) || *(*text)++ != '-' ||
        !pair(&out->tm_mon, text, 13) || *(*text)++ != '-' || !pair(&out->tm_mday, text, 32))
        return false;
    out->tm_year = century * 100 + year - 1900;
    return out->tm_year >= 70 && out->tm_mon-- >= 1 && out->tm_mday >= 1;
}

static bool read_clock(struct tm *out, const char **text)
{
    if (**text != 'T' && **text != ' ')
        return true; /* midnight */
    (*text)++;
    if (!pair(&out->tm_hour, text, 24) || *(*text)++ != ':' || !pair(&out->tm_min, text, 60))
        return false;
    if (**text != ':')
        return true;
    (*text)++;
    return pair(&out->tm_sec, text, 60);
}

static bool calendar(uint64_t *out, const char *text)
{
    struct tm parts = {.tm_isdst = -1}, back;
    if (!read_date(&parts, &text) || !read_clock(&parts, &text))
        return false;
    bool utc = *text == 'Z';
    text += utc;
    back = parts;
    time_t seconds = utc ? timegm(&back) : mktime(&back);
    if (*text || seconds < 0 || back.tm_mday != parts.tm_mday || back.tm_mon != parts.tm_mon)
        return false; /* the 30th of February */
    *out = (uint64_t)seconds;
    return true;
}

bool quantity_moment(uint64_t *out, const char *text, uint64_t now)
{
    uint64_t span;
    if (strcmp(text, "now") == 0) {
        *out = now;
        return true;
    }
    if (*text == '@')
        return quantity_number(out, text + 1, 0, UINT64_C(253402300799));
    if (*text != '+')
        return calendar(out, text);
    if (!quantity_span_ms(&span, text + 1, UINT64_C(3155760000000)))
        return false;
    *out = now + span / 1000;
    return true;
}

void quantity_write_moment(char out[96], uint64_t seconds)
{
    time_t moment = (time_t)seconds;
    struct tm local, utc;
    char first[48], second[40];
    if (seconds > UINT64_C(253402300799) || !localtime_r(&moment, &local) ||
        !gmtime_r(&moment, &utc) ||
        !strftime(first, sizeof(first), "%Y-%m-%d %H:%M:%S %z", &local) ||
        !strftime(second, sizeof(second), "%Y-%m-%d %H:%M:%SZ", &utc))
        snprintf(out, 96, "@%" PRIu64, seconds);
    else
        snprintf(out, 96, "%s (%s)", first, second);
}

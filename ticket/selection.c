#include "selection.h"

#include <string.h>

/* Reads decimal digits at `*text` and advances it. Nine at most, so nothing overflows. */
static int read_number(const char **text, uint32_t *out)
{
    uint32_t value = 0;
    int digits = 0;
    for (; **text >= '0' && **text <= '9'; (*text)++) {
        if (++digits > 9)
            return SELECTION_FORM;
        value = value * 10 + (uint32_t)(**text - '0');
    }
    *out = value;
    return digits ? 0 : SELECTION_FORM;
}

/* Reads "7" or "5-7" at `*text`. */
static int read_range(const char **text, size_t count, uint32_t *first, uint32_t *last)
{
    int result = read_number(text, first);
    *last = *first;
    if (!result && **text == '-') {
        (*text)++;
        result = read_number(text, last);
    }
    if (result)
        return result;
    return *first < 1 || *first > *last || *last > count ? SELECTION_RANGE : 0;
}

/* Goes through the list; marks only when `chosen` is given. */
static int walk(bool *chosen, size_t count, const char *text)
{
    for (;;) {
        uint32_t first, last;
        int result = read_range(&text, count, &first, &last);
        if (result)
            return result;
        for (uint32_t i = first; chosen && i <= last; i++)
            chosen[i - 1] = true;
        if (*text == '\0')
            return 0;
        if (*text++ != ',')
            return SELECTION_FORM;
    }
}

int selection_parse(bool *chosen, size_t count, const char *text)
{
    if (strcmp(text, "all") == 0) {
        for (size_t i = 0; i < count; i++)
            chosen[i] = true;
        return 0;
    }
    int result = walk(NULL, count, text);
    return result ? result : walk(chosen, count, text);
}

int selection_rectangle(struct rectangle *out, const char *text)
{
    uint32_t values[4];
    for (int i = 0; i < 4; i++) {
        if (read_number(&text, &values[i]) || *text != (i < 3 ? ',' : '\0'))
            return SELECTION_FORM;
        text++;
    }
    *out = (struct rectangle){values[0], values[1], values[2], values[3]};
    return 0;
}

int selection_redaction(size_t *index, struct rectangle *out, size_t count, const char *text)
{
    uint32_t frame;
    if (read_number(&text, &frame) || *text != ':')
        return SELECTION_FORM;
    int result = selection_rectangle(out, text + 1);
    if (result)
        return result;
    if (frame < 1 || frame > count)
        return SELECTION_RANGE;
    *index = frame - 1;
    return 0;
}

int selection_frame(size_t *index, size_t count, const char *text)
{
    uint32_t frame;
    if (read_number(&text, &frame) || *text)
        return SELECTION_FORM;
    if (frame < 1 || frame > count)
        return SELECTION_RANGE;
    *index = frame - 1;
    return 0;
}

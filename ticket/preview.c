#include "preview.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int put_cell(struct locked_bytes *out, uint32_t upper, uint32_t lower)
{
    char text[64];
    int length = snprintf(text, sizeof(text), "\x1b[38;2;%u;%u;%um\x1b[48;2;%u;%u;%um\xe2\x96\x80",
                          upper >> 16 & 0xff, upper >> 8 & 0xff, upper & 0xff, lower >> 16 & 0xff,
                          lower >> 8 & 0xff, lower & 0xff);
    return locked_bytes_append(out, text, (size_t)length);
}

static int put_rows(struct locked_bytes *out, const struct picture *small)
{
    int result = 0;
    for (uint32_t y = 0; y + 1 < small->height && !result; y += 2) {
        const uint32_t *upper = small->pixels + (size_t)y * small->width;
        for (uint32_t x = 0; x < small->width && !result; x++)
            result = put_cell(out, upper[x], upper[x + small->width]);
        if (!result)
            result = locked_bytes_append(out, "\x1b[0m\n", 5);
    }
    return result;
}

int preview_draw(struct locked_bytes *out, const struct picture *picture, uint32_t columns,
                 uint32_t rows)
{
    uint32_t width, height;
    struct picture *small;
    picture_fit(picture->width, picture->height, columns ? columns : 1, rows ? rows * 2 : 2, &width,
                &height);
    height = height + height % 2; /* whole cells */
    int result = picture_new(&small, width, height);
    if (result)
        return -ENOMEM;
    picture_scale(small, picture);
    result = put_rows(out, small);
    picture_free(small);
    return result;
}

#include "setup.h"

#include <stdint.h>
#include <string.h>

enum { KEYCODE_MIN = 8, HEAD_BYTES = 8 };

struct rest {
    const uint8_t *at;
    size_t left;
};

static bool skip(struct rest *rest, size_t bytes)
{
    if (bytes > rest->left)
        return false;
    rest->at += bytes;
    rest->left -= bytes;
    return true;
}

static bool take(struct rest *rest, void *out, size_t bytes)
{
    const uint8_t *from = rest->at;
    if (!skip(rest, bytes))
        return false;
    memcpy(out, from, bytes);
    return true;
}

static bool skip_screen(struct rest *rest)
{
    xcb_screen_t screen;
    xcb_depth_t depth;
    if (!take(rest, &screen, sizeof(screen)))
        return false;
    for (unsigned i = 0; i < screen.allowed_depths_len; i++)
        if (!take(rest, &depth, sizeof(depth)) ||
            !skip(rest, depth.visuals_len * sizeof(xcb_visualtype_t)))
            return false;
    return true;
}

bool setup_is_whole(const void *bytes, size_t length)
{
    struct rest rest = {bytes, length};
    xcb_setup_t setup;
    if (!take(&rest, &setup, sizeof(setup)) || setup.status != 1 ||
        length != HEAD_BYTES + (size_t)setup.length * 4)
        return false;
    if (setup.min_keycode < KEYCODE_MIN || setup.max_keycode < setup.min_keycode ||
        setup.resource_id_mask == 0 || setup.roots_len == 0)
        return false;
    if (!skip(&rest, (setup.vendor_len + 3U) / 4 * 4) ||
        !skip(&rest, setup.pixmap_formats_len * sizeof(xcb_format_t)))
        return false;
    for (unsigned i = 0; i < setup.roots_len; i++)
        if (!skip_screen(&rest))
            return false;
    return true;
}

bool setup_of_xcb_is_whole(const xcb_setup_t *setup)
{
    return setup && setup_is_whole(setup, HEAD_BYTES + (size_t)setup->length * 4);
}

static const xcb_visualtype_t *find_visual(const xcb_screen_t *screen)
{
    xcb_depth_iterator_t depths = xcb_screen_allowed_depths_iterator(screen);
    for (; depths.rem > 0; xcb_depth_next(&depths)) {
        xcb_visualtype_iterator_t visuals = xcb_depth_visuals_iterator(depths.data);
        for (; visuals.rem > 0; xcb_visualtype_next(&visuals))
            if (visuals.data->visual_id == screen->root_visual)
                return visuals.data;
    }
    return NULL;
}

bool setup_has_plain_pixels(const xcb_setup_t *setup)
{
    const xcb_screen_t *screen = xcb_setup_roots_iterator(setup).data;
    const xcb_visualtype_t *visual = find_visual(screen);
    if (!visual || visual->_class != XCB_VISUAL_CLASS_TRUE_COLOR || visual->red_mask != 0xff0000 ||
        visual->green_mask != 0xff00 || visual->blue_mask != 0xff ||
        setup->image_byte_order != XCB_IMAGE_ORDER_LSB_FIRST || screen->root_depth != 24)
        return false;
    xcb_format_iterator_t formats = xcb_setup_pixmap_formats_iterator(setup);
    for (; formats.rem > 0; xcb_format_next(&formats))
        if (formats.data->depth == screen->root_depth)
            return formats.data->bits_per_pixel == 32 && formats.data->scanline_pad == 32;
    return false;
}

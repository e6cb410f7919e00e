#include "x11_lengths.h"

#include <stddef.h>
#include <stdint.h>

/* The bytes of a reply that are not looked at yet. */
struct rest {
    const uint8_t *at;
    size_t left;
};

/* What of a reply of `length` words beyond its first `head` bytes lies behind `used` bytes. */
static bool rest_of(struct rest *rest, const void *reply, size_t head, uint32_t length, size_t used)
{
    size_t size = head + (size_t)length * 4;
    if (size < used)
        return false;
    *rest = (struct rest){(const uint8_t *)reply + used, size - used};
    return true;
}

static const void *take(struct rest *rest, size_t size)
{
    const uint8_t *at = rest->at;
    if (size > rest->left)
        return NULL;
    rest->at += size;
    rest->left -= size;
    return at;
}

static bool take_screen(struct rest *rest)
{
    const xcb_screen_t *screen = take(rest, sizeof(*screen));
    if (screen == NULL)
        return false;
    for (unsigned i = 0; i < screen->allowed_depths_len; i++) {
        const xcb_depth_t *depth = take(rest, sizeof(*depth));
        if (depth == NULL || take(rest, depth->visuals_len * sizeof(xcb_visualtype_t)) == NULL)
            return false;
    }
    return true;
}

bool x11_setup_is_whole(const xcb_setup_t *setup)
{
    struct rest rest;
    size_t vendor = ((size_t)setup->vendor_len + 3) & ~(size_t)3;
    /* The length of a setup counts from its ninth byte; libxcb refuses none for being short. */
    return rest_of(&rest, setup, 8, setup->length, sizeof(*setup)) && take(&rest, vendor) != NULL &&
           take(&rest, setup->pixmap_formats_len * sizeof(xcb_format_t)) != NULL &&
           setup->roots_len > 0 && take_screen(&rest);
}

bool x11_resources_are_whole(const xcb_randr_get_screen_resources_current_reply_t *reply)
{
    struct rest rest;
    return rest_of(&rest, reply, 32, reply->length, sizeof(*reply)) &&
           take(&rest, ((size_t)reply->num_crtcs + reply->num_outputs) * 4) != NULL;
}

bool x11_output_is_whole(const xcb_randr_get_output_info_reply_t *reply)
{
    struct rest rest;
    /* Some of the counts lie beyond the 32 bytes that every reply has. */
    if (!rest_of(&rest, reply, 32, reply->length, sizeof(*reply)))
        return false;
    size_t ids = (size_t)reply->num_crtcs + reply->num_modes + reply->num_clones;
    return take(&rest, ids * 4) != NULL && take(&rest, reply->name_len) != NULL;
}

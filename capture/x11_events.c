#include <stdlib.h>
#include <string.h>
#include <xcb/randr.h>
#include <xcb/screensaver.h>
#include <xcb/shm.h>
#include <xcb/xinput.h>

#include "x11.h"
#include "x11_keys.h"
#include "x11_wipe.h"

int x11_keys_load(struct x11 *x11)
{
    x11->keys_changed = false;
    const xcb_setup_t *setup = xcb_get_setup(x11->connection);
    uint8_t count = (uint8_t)(setup->max_keycode - setup->min_keycode + 1);
    xcb_get_keyboard_mapping_reply_t *reply = xcb_get_keyboard_mapping_reply(
        x11->connection, xcb_get_keyboard_mapping(x11->connection, setup->min_keycode, count),
        NULL);
    if (reply == NULL) {
        memset(&x11->keys, 0, sizeof(x11->keys));
        return xcb_connection_has_error(x11->connection) ? X11_LOST : X11_OK;
    }
    /* As many as did arrive, whatever the reply says elsewhere. */
    unsigned per_code = reply->keysyms_per_keycode;
    unsigned whole = per_code > 0 ? reply->length / per_code : 0;
    trigger_keys_read(&x11->keys, x11->trigger_set, setup->min_keycode,
                      whole < count ? whole : count, xcb_get_keyboard_mapping_keysyms(reply),
                      per_code);
    free(reply);
    return X11_OK;
}

/* Raw events carry the key or button in the same place; what is no trigger leaves nothing behind.
 */
static struct trigger of_raw_event(struct x11 *x11, const xcb_generic_event_t *event)
{
    struct trigger none = {0};
    const xcb_input_raw_key_press_event_t *raw = (const void *)event;
    if (raw->extension != x11->xinput_opcode)
        return none;
    if (raw->event_type == XCB_INPUT_RAW_BUTTON_PRESS)
        return trigger_button(x11->trigger_set, raw->detail);
    if (raw->event_type != XCB_INPUT_RAW_KEY_PRESS ||
        (raw->flags & XCB_INPUT_KEY_EVENT_FLAGS_KEY_REPEAT) != 0)
        return none;
    if (x11->keys_changed)
        x11_keys_load(x11);
    return trigger_key(&x11->keys, raw->detail);
}

static void wipe_event(xcb_generic_event_t *event)
{
    size_t size = sizeof(*event) - sizeof(event->full_sequence);
    if ((event->response_type & 0x7f) == XCB_GE_GENERIC) {
        const xcb_ge_generic_event_t *ge = (const void *)event;
        size = sizeof(*event) + (size_t)ge->length * 4;
    }
    explicit_bzero(event, size);
    free(event);
}

static bool of_extension(const struct x11 *x11, uint8_t type, const xcb_generic_event_t *event,
                         struct x11_event *out)
{
    if (x11->randr_event != 0 && (type == x11->randr_event + XCB_RANDR_SCREEN_CHANGE_NOTIFY ||
                                  type == x11->randr_event + XCB_RANDR_NOTIFY)) {
        out->kind = X11_EVENT_MONITORS;
        return true;
    }
    if (x11->saver_event != 0 && type == x11->saver_event + XCB_SCREENSAVER_NOTIFY) {
        const xcb_screensaver_notify_event_t *saver = (const void *)event;
        out->kind = X11_EVENT_SAVER;
        out->saver_on =
            saver->state == XCB_SCREENSAVER_STATE_ON || saver->state == XCB_SCREENSAVER_STATE_CYCLE;
        return true;
    }
    return false;
}

/* Whether the event is one for the caller; fills `out` then. */
static bool translate(struct x11 *x11, const xcb_generic_event_t *event, struct x11_event *out)
{
    uint8_t type = event->response_type & 0x7f;
    memset(out, 0, sizeof(*out));
    switch (type) {
    case XCB_GE_GENERIC:
        out->kind = X11_EVENT_TRIGGER;
        out->trigger = of_raw_event(x11, event);
        return out->trigger.kind != 0;
    case XCB_MAPPING_NOTIFY:
        if (((const xcb_mapping_notify_event_t *)event)->request == XCB_MAPPING_KEYBOARD)
            x11->keys_changed = true;
        return false;
    case XCB_CONFIGURE_NOTIFY:
        out->kind = X11_EVENT_WINDOW;
        out->window = event;
        if (((const xcb_configure_notify_event_t *)event)->window == x11->root)
            out->kind = X11_EVENT_MONITORS;
        return true;
    case XCB_CREATE_NOTIFY:
    case XCB_MAP_NOTIFY:
    case XCB_UNMAP_NOTIFY:
    case XCB_DESTROY_NOTIFY:
    case XCB_REPARENT_NOTIFY:
        out->kind = X11_EVENT_WINDOW;
        out->window = event;
        return true;
    default:
        return of_extension(x11, type, event, out);
    }
}

int x11_next(struct x11 *x11, struct x11_event *out)
{
    if (x11->event != NULL)
        wipe_event(x11->event);
    x11->event = NULL;
    for (;;) {
        xcb_generic_event_t *event = xcb_poll_for_event(x11->connection);
        if (event == NULL && x11->keys_changed && x11_keys_load(x11) == X11_OK)
            continue;
        if (event == NULL) {
            x11_wipe_stack();
            return xcb_connection_has_error(x11->connection) ? X11_LOST : X11_EMPTY;
        }
        if (translate(x11, event, out)) {
            x11->event = event;
            return X11_OK;
        }
        wipe_event(event);
    }
}

static int read_size(struct x11 *x11)
{
    xcb_get_geometry_reply_t *geometry =
        xcb_get_geometry_reply(x11->connection, xcb_get_geometry(x11->connection, x11->root), NULL);
    if (geometry == NULL)
        return X11_LOST;
    x11->width = geometry->width;
    x11->height = geometry->height;
    free(geometry);
    if (x11->width == 0 || x11->height == 0 || x11->width > FRAME_SIDE_MAX ||
        x11->height > FRAME_SIDE_MAX ||
        (size_t)x11->width * x11->height > FRAME_PICTURE_MAX / FRAME_PIXEL_BYTES)
        return X11_TOO_LARGE;
    return X11_OK;
}

/* The part of the monitor that lies on the desktop, as records demand. */
static struct frame_monitor on_desktop(const struct x11 *x11, const xcb_randr_monitor_info_t *info)
{
    int32_t left = info->x < 0 ? 0 : info->x, top = info->y < 0 ? 0 : info->y;
    int32_t right = info->x + info->width, bottom = info->y + info->height;
    struct frame_monitor monitor = {0};
    right = right > x11->width ? x11->width : right;
    bottom = bottom > x11->height ? x11->height : bottom;
    if (left >= right || top >= bottom)
        return monitor;
    monitor.x = (uint16_t)left;
    monitor.y = (uint16_t)top;
    monitor.width = (uint16_t)(right - left);
    monitor.height = (uint16_t)(bottom - top);
    return monitor;
}

int x11_read_monitors(struct x11 *x11)
{
    int outcome = read_size(x11);
    x11->monitor_count = 0;
    if (outcome != X11_OK || x11->randr_event == 0)
        return outcome;
    xcb_randr_get_monitors_reply_t *reply = xcb_randr_get_monitors_reply(
        x11->connection, xcb_randr_get_monitors(x11->connection, x11->root, 1), NULL);
    if (reply == NULL)
        return xcb_connection_has_error(x11->connection) ? X11_LOST : X11_OK;
    xcb_randr_monitor_info_iterator_t at = xcb_randr_get_monitors_monitors_iterator(reply);
    const uint8_t *end = (const uint8_t *)reply + sizeof(*reply) + (size_t)reply->length * 4;
    for (; at.rem > 0 && x11->monitor_count < FRAME_MONITORS_MAX;
         xcb_randr_monitor_info_next(&at)) {
        if ((size_t)(end - (const uint8_t *)at.data) < sizeof(*at.data))
            break;
        struct frame_monitor monitor = on_desktop(x11, at.data);
        if (monitor.width > 0)
            x11->monitors[x11->monitor_count++] = monitor;
        if ((size_t)at.data->nOutput * 4 >
            (size_t)(end - (const uint8_t *)at.data) - sizeof(*at.data))
            break;
    }
    free(reply);
    return X11_OK;
}

unsigned x11_grab_begin(struct x11 *x11)
{
    return xcb_shm_get_image(x11->connection, x11->root, 0, 0, x11->width, x11->height, ~0U,
                             XCB_IMAGE_FORMAT_Z_PIXMAP, x11->segment, 0)
        .sequence;
}

int x11_grab_end(struct x11 *x11, unsigned sequence)
{
    xcb_shm_get_image_cookie_t cookie = {sequence};
    xcb_shm_get_image_reply_t *reply = xcb_shm_get_image_reply(x11->connection, cookie, NULL);
    if (reply == NULL)
        return xcb_connection_has_error(x11->connection) ? X11_LOST : X11_CHANGED;
    bool whole =
        reply->depth == 24 && reply->size == (uint32_t)x11->width * x11->height * FRAME_PIXEL_BYTES;
    free(reply);
    return whole ? X11_OK : X11_CHANGED;
}

int x11_grab(struct x11 *x11)
{
    return x11_grab_end(x11, x11_grab_begin(x11));
}

#include "viewer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xcb/xcb.h>

#include "setup.h"

enum { SMALLEST = 4 };

/* Keysyms (X11/keysymdef.h) that mean something here. */
enum {
    KEY_SPACE = 0x20,
    KEY_D = 0x64,
    KEY_N = 0x6e,
    KEY_P = 0x70,
    KEY_Q = 0x71,
    KEY_U = 0x75,
    KEY_BACKSPACE = 0xff08,
    KEY_ESCAPE = 0xff1b,
    KEY_LEFT = 0xff51,
    KEY_RIGHT = 0xff53,
};

struct viewer {
    xcb_connection_t *x;
    xcb_screen_t *screen;
    xcb_window_t window; /* 0: none */
    xcb_gcontext_t copy, invert;
    xcb_atom_t protocols, delete_window;
    xcb_keysym_t keys[256];
    uint16_t width, height;  /* of the window */
    struct picture *picture; /* what is shown, in its own size */
    struct picture *scaled;  /* as it fits into the window */
    int16_t left, top;       /* of the scaled picture in the window */
    int dragging;
    int16_t from_x, from_y, to_x, to_y; /* of the drag, in the window */
};

static xcb_atom_t atom(xcb_connection_t *x, const char *name)
{
    xcb_intern_atom_cookie_t cookie = xcb_intern_atom(x, 0, (uint16_t)strlen(name), name);
    xcb_intern_atom_reply_t *reply = xcb_intern_atom_reply(x, cookie, NULL);
    xcb_atom_t found = reply ? reply->atom : XCB_ATOM_NONE;
    free(reply);
    return found;
}

/* The first keysym of each key. The setup is whole, so keycodes rise and end at 255. */
static void load_keys(struct viewer *viewer, const xcb_setup_t *setup)
{
    uint8_t first = setup->min_keycode;
    uint8_t count = (uint8_t)(setup->max_keycode - first + 1);
    xcb_get_keyboard_mapping_reply_t *reply = xcb_get_keyboard_mapping_reply(
        viewer->x, xcb_get_keyboard_mapping(viewer->x, first, count), NULL);
    if (!reply)
        return;
    const xcb_keysym_t *keysyms = xcb_get_keyboard_mapping_keysyms(reply);
    int length = xcb_get_keyboard_mapping_keysyms_length(reply);
    for (int i = 0; i < count && i * reply->keysyms_per_keycode < length; i++)
        viewer->keys[first + i] = keysyms[i * reply->keysyms_per_keycode];
    free(reply);
}

static xcb_connection_t *greet(int fd, const struct xauth_cookie *cookie)
{
    static char name[] = "MIT-MAGIC-COOKIE-1";
    struct xauth_cookie copy;
    xcb_auth_info_t auth = {.namelen = sizeof(name) - 1, .name = name};
    if (!cookie)
        return xcb_connect_to_fd(fd, NULL);
    copy = *cookie;
    auth.datalen = sizeof(copy.bytes);
    auth.data = (char *)copy.bytes;
    xcb_connection_t *x = xcb_connect_to_fd(fd, &auth);
    explicit_bzero(&copy, sizeof(copy));
    return x;
}

int viewer_new(struct viewer **out, int fd, const struct xauth_cookie *cookie)
{
    struct viewer *viewer = calloc(1, sizeof(*viewer));
    if (!viewer) {
        close(fd);
        return -ENOMEM;
    }
    viewer->x = greet(fd, cookie);
    if (xcb_connection_has_error(viewer->x)) {
        viewer_free(viewer);
        return -ENOTCONN;
    }
    const xcb_setup_t *setup = xcb_get_setup(viewer->x);
    if (!setup_of_xcb_is_whole(setup) || !setup_has_plain_pixels(setup)) {
        viewer_free(viewer);
        return -ENOTSUP;
    }
    viewer->screen = xcb_setup_roots_iterator(setup).data;
    viewer->protocols = atom(viewer->x, "WM_PROTOCOLS");
    viewer->delete_window = atom(viewer->x, "WM_DELETE_WINDOW");
    load_keys(viewer, setup);
    if (xcb_connection_has_error(viewer->x)) {
        viewer_free(viewer);
        return -ENOTCONN;
    }
    *out = viewer;
    return 0;
}

struct viewer *viewer_free(struct viewer *viewer)
{
    if (!viewer)
        return NULL;
    picture_free(viewer->picture);
    picture_free(viewer->scaled);
    xcb_disconnect(viewer->x);
    free(viewer);
    return NULL;
}

static void open_window(struct viewer *viewer)
{
    const uint32_t events = XCB_EVENT_MASK_EXPOSURE | XCB_EVENT_MASK_KEY_PRESS |
                            XCB_EVENT_MASK_BUTTON_PRESS | XCB_EVENT_MASK_BUTTON_RELEASE |
                            XCB_EVENT_MASK_BUTTON_1_MOTION | XCB_EVENT_MASK_STRUCTURE_NOTIFY;
    const uint32_t values[] = {viewer->screen->black_pixel, events};
    const uint32_t invert[] = {XCB_GX_INVERT, viewer->screen->white_pixel};
    viewer->width = (uint16_t)(viewer->screen->width_in_pixels * 4U / 5);
    viewer->height = (uint16_t)(viewer->screen->height_in_pixels * 4U / 5);
    viewer->window = xcb_generate_id(viewer->x);
    xcb_create_window(viewer->x, XCB_COPY_FROM_PARENT, viewer->window, viewer->screen->root, 0, 0,
                      viewer->width, viewer->height, 0, XCB_WINDOW_CLASS_INPUT_OUTPUT,
                      viewer->screen->root_visual, XCB_CW_BACK_PIXEL | XCB_CW_EVENT_MASK, values);
    xcb_change_property(viewer->x, XCB_PROP_MODE_REPLACE, viewer->window, viewer->protocols,
                        XCB_ATOM_ATOM, 32, 1, &viewer->delete_window);
    xcb_change_property(viewer->x, XCB_PROP_MODE_REPLACE, viewer->window, XCB_ATOM_WM_CLASS,
                        XCB_ATOM_STRING, 8, 32, "cloister-ticket\0cloister-ticket");
    viewer->copy = xcb_generate_id(viewer->x);
    xcb_create_gc(viewer->x, viewer->copy, viewer->window, 0, NULL);
    viewer->invert = xcb_generate_id(viewer->x);
    xcb_create_gc(viewer->x, viewer->invert, viewer->window, XCB_GC_FUNCTION | XCB_GC_FOREGROUND,
                  invert);
    xcb_map_window(viewer->x, viewer->window);
}

void viewer_hide(struct viewer *viewer)
{
    if (viewer->window) {
        xcb_free_gc(viewer->x, viewer->copy);
        xcb_free_gc(viewer->x, viewer->invert);
        xcb_destroy_window(viewer->x, viewer->window);
        xcb_flush(viewer->x);
    }
    viewer->window = 0;
    viewer->dragging = 0;
    viewer->picture = picture_free(viewer->picture);
    viewer->scaled = picture_free(viewer->scaled);
}

/* Sends the scaled picture in pieces that fit into requests. */
static void paint(struct viewer *viewer)
{
    const struct picture *scaled = viewer->scaled;
    if (!viewer->window || !scaled)
        return;
    uint32_t stride = scaled->width * 4;
    uint32_t most = xcb_get_maximum_request_length(viewer->x);
    uint32_t rows = (most > 65536 ? 65536 : most) * 4 / stride;
    rows = rows > 2 ? rows - 1 : 1;
    for (uint32_t y = 0; y < scaled->height; y += rows) {
        uint32_t part = scaled->height - y < rows ? scaled->height - y : rows;
        xcb_put_image(viewer->x, XCB_IMAGE_FORMAT_Z_PIXMAP, viewer->window, viewer->copy,
                      (uint16_t)scaled->width, (uint16_t)part, viewer->left,
                      (int16_t)(viewer->top + (int)y), 0, 24, part * stride,
                      (const uint8_t *)(scaled->pixels + (size_t)y * scaled->width));
    }
    xcb_flush(viewer->x);
}

static void fit(struct viewer *viewer)
{
    uint32_t width, height;
    viewer->scaled = picture_free(viewer->scaled);
    if (!viewer->picture || viewer->width < SMALLEST || viewer->height < SMALLEST)
        return;
    picture_fit(viewer->picture->width, viewer->picture->height, viewer->width, viewer->height,
                &width, &height);
    if (picture_new(&viewer->scaled, width, height))
        return;
    picture_scale(viewer->scaled, viewer->picture);
    viewer->left = (int16_t)((viewer->width - width) / 2);
    viewer->top = (int16_t)((viewer->height - height) / 2);
}

int viewer_show(struct viewer *viewer, struct picture *picture, const char *caption)
{
    picture_free(viewer->picture);
    viewer->picture = picture;
    viewer->dragging = 0;
    if (!viewer->window)
        open_window(viewer);
    xcb_change_property(viewer->x, XCB_PROP_MODE_REPLACE, viewer->window, XCB_ATOM_WM_NAME,
                        XCB_ATOM_STRING, 8, (uint32_t)strlen(caption), caption);
    fit(viewer);
    xcb_clear_area(viewer->x, 0, viewer->window, 0, 0, 0, 0);
    paint(viewer);
    return xcb_connection_has_error(viewer->x) ? -ENOTCONN : 0;
}

int viewer_fd(const struct viewer *viewer)
{
    return xcb_get_file_descriptor(viewer->x);
}

static void draw_drag(struct viewer *viewer)
{
    int16_t x = viewer->from_x < viewer->to_x ? viewer->from_x : viewer->to_x;
    int16_t y = viewer->from_y < viewer->to_y ? viewer->from_y : viewer->to_y;
    xcb_rectangle_t area = {x, y, (uint16_t)abs(viewer->to_x - viewer->from_x),
                            (uint16_t)abs(viewer->to_y - viewer->from_y)};
    /* Inverting twice restores what was there. */
    xcb_poly_rectangle(viewer->x, viewer->window, viewer->invert, 1, &area);
    xcb_flush(viewer->x);
}

/* A coordinate of the window as one of the picture, within it; rounded outwards for an end. */
static uint32_t to_picture(int at, int offset, uint32_t scaled, uint32_t full, int end)
{
    int64_t inside = (int64_t)at - offset;
    if (inside < 0)
        inside = 0;
    if (inside > scaled)
        inside = scaled;
    return (uint32_t)((inside * full + (end ? scaled - 1 : 0)) / scaled);
}

static struct viewer_event dragged(struct viewer *viewer)
{
    const struct picture *s = viewer->scaled, *p = viewer->picture;
    struct viewer_event event = {.kind = VIEWER_NOTHING};
    if (!s || !p)
        return event;
    int left = viewer->from_x < viewer->to_x ? viewer->from_x : viewer->to_x;
    int right = viewer->from_x < viewer->to_x ? viewer->to_x : viewer->from_x;
    int top = viewer->from_y < viewer->to_y ? viewer->from_y : viewer->to_y;
    int bottom = viewer->from_y < viewer->to_y ? viewer->to_y : viewer->from_y;
    uint32_t x0 = to_picture(left, viewer->left, s->width, p->width, 0);
    uint32_t x1 = to_picture(right + 1, viewer->left, s->width, p->width, 1);
    uint32_t y0 = to_picture(top, viewer->top, s->height, p->height, 0);
    uint32_t y1 = to_picture(bottom + 1, viewer->top, s->height, p->height, 1);
    /* A click is no drag. */
    if (right - left < 3 && bottom - top < 3)
        return event;
    if (x1 > x0 && y1 > y0)
        event = (struct viewer_event){VIEWER_REDACT, {x0, y0, x1 - x0, y1 - y0}};
    return event;
}

static enum viewer_event_kind key_meaning(xcb_keysym_t key)
{
    switch (key) {
    case KEY_SPACE:
    case KEY_N:
    case KEY_RIGHT:
        return VIEWER_NEXT;
    case KEY_BACKSPACE:
    case KEY_P:
    case KEY_LEFT:
        return VIEWER_BACK;
    case KEY_D:
        return VIEWER_DROP;
    case KEY_U:
        return VIEWER_UNDO;
    case KEY_Q:
    case KEY_ESCAPE:
        return VIEWER_CLOSED;
    default:
        return VIEWER_NOTHING;
    }
}

static void on_resize(struct viewer *viewer, const xcb_configure_notify_event_t *event)
{
    if (event->width == viewer->width && event->height == viewer->height)
        return;
    viewer->width = event->width;
    viewer->height = event->height;
    viewer->dragging = 0;
    fit(viewer);
    xcb_clear_area(viewer->x, 0, viewer->window, 0, 0, 0, 0);
    paint(viewer);
}

static struct viewer_event on_button(struct viewer *viewer, const xcb_button_press_event_t *event,
                                     int pressed)
{
    struct viewer_event none = {.kind = VIEWER_NOTHING};
    if (event->detail != XCB_BUTTON_INDEX_1)
        return none;
    if (pressed) {
        viewer->dragging = 1;
        viewer->from_x = viewer->to_x = event->event_x;
        viewer->from_y = viewer->to_y = event->event_y;
        draw_drag(viewer);
        return none;
    }
    if (!viewer->dragging)
        return none;
    draw_drag(viewer);
    viewer->dragging = 0;
    viewer->to_x = event->event_x;
    viewer->to_y = event->event_y;
    return dragged(viewer);
}

static void on_motion(struct viewer *viewer, const xcb_motion_notify_event_t *event)
{
    if (!viewer->dragging)
        return;
    draw_drag(viewer);
    viewer->to_x = event->event_x;
    viewer->to_y = event->event_y;
    draw_drag(viewer);
}

static struct viewer_event translate(struct viewer *viewer, const xcb_generic_event_t *event)
{
    struct viewer_event out = {.kind = VIEWER_NOTHING};
    switch (event->response_type & 0x7f) {
    case XCB_EXPOSE:
        paint(viewer);
        break;
    case XCB_CONFIGURE_NOTIFY:
        on_resize(viewer, (const void *)event);
        break;
    case XCB_KEY_PRESS:
        out.kind = key_meaning(viewer->keys[((const xcb_key_press_event_t *)event)->detail]);
        break;
    case XCB_BUTTON_PRESS:
        return on_button(viewer, (const void *)event, 1);
    case XCB_BUTTON_RELEASE:
        return on_button(viewer, (const void *)event, 0);
    case XCB_MOTION_NOTIFY:
        on_motion(viewer, (const void *)event);
        break;
    case XCB_CLIENT_MESSAGE:
        if (((const xcb_client_message_event_t *)event)->data.data32[0] == viewer->delete_window)
            out.kind = VIEWER_CLOSED;
        break;
    default:
        break;
    }
    return out;
}

struct viewer_event viewer_next(struct viewer *viewer)
{
    struct viewer_event out = {.kind = VIEWER_NOTHING};
    xcb_generic_event_t *event;
    while (out.kind == VIEWER_NOTHING && (event = xcb_poll_for_event(viewer->x))) {
        /* What still comes for a window that was closed means nothing. */
        if (viewer->window)
            out = translate(viewer, event);
        free(event);
    }
    if (out.kind == VIEWER_NOTHING && xcb_connection_has_error(viewer->x))
        out.kind = VIEWER_LOST;
    return out;
}

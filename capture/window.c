#include "window.h"

#include <stdlib.h>
#include <string.h>

/* In units of 4 bytes: a title is cut to FRAME_TITLE_MAX anyway. */
#define TITLE_WORDS 128U

xcb_window_t window_active(struct x11 *x11)
{
    xcb_window_t window = XCB_WINDOW_NONE;
    if (x11->atoms.net_active_window == XCB_ATOM_NONE)
        return window;
    xcb_get_property_reply_t *reply = xcb_get_property_reply(
        x11->connection,
        xcb_get_property(x11->connection, 0, x11->root, x11->atoms.net_active_window,
                         XCB_ATOM_WINDOW, 0, 1),
        NULL);
    if (reply != NULL && reply->format == 32 && reply->value_len == 1 && reply->length >= 1)
        memcpy(&window, xcb_get_property_value(reply), 4);
    free(reply);
    return window;
}

struct window_asked window_title_begin(struct x11 *x11, xcb_window_t window)
{
    struct window_asked asked = {.window = window};
    if (window == XCB_WINDOW_NONE)
        return asked;
    asked.net_wm_name = xcb_get_property(x11->connection, 0, window, x11->atoms.net_wm_name,
                                         x11->atoms.utf8_string, 0, TITLE_WORDS);
    asked.wm_name = xcb_get_property(x11->connection, 0, window, XCB_ATOM_WM_NAME,
                                     XCB_GET_PROPERTY_TYPE_ANY, 0, TITLE_WORDS);
    return asked;
}

/* WM_NAME may be in COMPOUND_TEXT, which nothing has written for twenty years: no title then. */
static size_t take(struct x11 *x11, xcb_get_property_cookie_t cookie, char *out)
{
    xcb_get_property_reply_t *reply = xcb_get_property_reply(x11->connection, cookie, NULL);
    size_t length = 0;
    out[0] = '\0';
    if (reply == NULL)
        return 0;
    size_t there = (size_t)reply->length * 4;
    size_t size = reply->format == 8 ? reply->value_len : 0;
    size = size < there ? size : there;
    uint8_t *value = xcb_get_property_value(reply);
    if (reply->type == x11->atoms.utf8_string)
        length = frame_title_clean(out, value, size);
    else if (reply->type == XCB_ATOM_STRING)
        length = frame_title_clean_latin1(out, value, size);
    explicit_bzero(value, there);
    free(reply);
    return length;
}

size_t window_title_end(struct x11 *x11, const struct window_asked *asked, char *out)
{
    out[0] = '\0';
    if (asked->window == XCB_WINDOW_NONE)
        return 0;
    char name[FRAME_TITLE_MAX + 1];
    size_t length = take(x11, asked->net_wm_name, out);
    size_t name_length = take(x11, asked->wm_name, name);
    if (length == 0 && name_length > 0) {
        memcpy(out, name, name_length + 1);
        length = name_length;
    }
    explicit_bzero(name, sizeof(name));
    return length;
}

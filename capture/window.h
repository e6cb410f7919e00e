/*
 * The title of the window that the user works in, as the window manager names it (EWMH
 * _NET_ACTIVE_WINDOW, _NET_WM_NAME; ICCCM WM_NAME). Two round trips; the second one's requests can
 * be under way together with others.
 *
 * Belongs to the connection's thread.
 */
#ifndef CLOISTER_CAPTURE_WINDOW_H
#define CLOISTER_CAPTURE_WINDOW_H

#include "title.h"
#include "x11.h"

/* The active window, XCB_WINDOW_NONE if there is none or nobody says. */
xcb_window_t window_active(struct x11 *x11);

/* The requests of a title that are under way. */
struct window_asked {
    xcb_window_t window;
    xcb_get_property_cookie_t net_wm_name, wm_name;
};

/* Asks for the title of `window`; XCB_WINDOW_NONE asks nothing. */
struct window_asked window_title_begin(struct x11 *x11, xcb_window_t window);

/*
 * Takes the answers: `out` holds FRAME_TITLE_MAX + 1 bytes and is terminated; the length is
 * returned, 0 if there is no title. What xcb held of it is wiped.
 */
size_t window_title_end(struct x11 *x11, const struct window_asked *asked, char *out);

#endif

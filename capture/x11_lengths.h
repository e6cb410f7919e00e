/*
 * Whether a reply of the X server is as long as its own counts say. libxcb allocates what arrived
 * and checks nothing else: its accessors and iterators believe the counts (X Window System
 * Protocol, appendix B; RandR 1.5, section 7).
 *
 * Pure; any thread.
 */
#ifndef CLOISTER_CAPTURE_X11_LENGTHS_H
#define CLOISTER_CAPTURE_X11_LENGTHS_H

#include <stdbool.h>
#include <xcb/randr.h>
#include <xcb/xcb.h>

/* The vendor, the pixmap formats, and the first screen with all its depths and visuals; false also
 * if there is no screen. */
bool x11_setup_is_whole(const xcb_setup_t *setup);

/* The lists of CRTCs and outputs. */
bool x11_resources_are_whole(const xcb_randr_get_screen_resources_current_reply_t *reply);

/* Everything up to the end of the output's name. */
bool x11_output_is_whole(const xcb_randr_get_output_info_reply_t *reply);

#endif

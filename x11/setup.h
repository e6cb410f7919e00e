/*
 * What an X server says of itself when a connection begins (X Window System Protocol, chapter 8),
 * checked before anybody goes through it: libxcb takes every count in it at its word.
 */
#ifndef CLOISTER_X11_SETUP_H
#define CLOISTER_X11_SETUP_H

#include <stdbool.h>
#include <stddef.h>
#include <xcb/xcb.h>

/*
 * Whether the setup of `length` bytes is whole: it was accepted; the vendor, the formats and all
 * screens with their depths and visuals lie within it; there is a screen; keycodes are 8 to 255 in
 * rising order; there are resource ids. Then libxcb's iterators stay within it. Pure; any thread.
 */
bool setup_is_whole(const void *bytes, size_t length);

/* The same for what libxcb has read: it allocates as much as the setup's own length says. */
bool setup_of_xcb_is_whole(const xcb_setup_t *setup);

/*
 * Whether pictures of the first screen are rows of width * 4 bytes in the order B, G, R, padding:
 * true colour, 24 bits deep in 32, least byte first. The setup must be whole.
 */
bool setup_has_plain_pixels(const xcb_setup_t *setup);

#endif

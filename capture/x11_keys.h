/* The keyboard mapping of a connection. Internal to x11.c and x11_events.c. */
#ifndef CLOISTER_CAPTURE_X11_KEYS_H
#define CLOISTER_CAPTURE_X11_KEYS_H

#include "x11.h"

/* Reads the mapping and finds the triggers in it. Returns X11_OK or X11_LOST. */
int x11_keys_load(struct x11 *x11);

#endif

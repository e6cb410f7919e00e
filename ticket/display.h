/*
 * The X server that the viewer may show frames on: a local one, of this user or of root. Here it is
 * found and connected; not one byte that it or the user's cookie file says is looked at before the
 * program is locked (viewer.h).
 *
 *     display_find()         as soon as the environment is scrubbed
 *     display_read_cookie()  with the user's own group
 *     display_dial()         when the program's group is given up, before the filter
 *     display_cookie()       behind the filter
 *
 * One thread.
 */
#ifndef CLOISTER_TICKET_DISPLAY_H
#define CLOISTER_TICKET_DISPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xauth.h"

#define DISPLAY_FOLDER "/tmp/.X11-unix"

enum display_outcome {
    DISPLAY_NONE = 1, /* there is no DISPLAY */
    DISPLAY_FOREIGN,  /* DISPLAY names another host, or is none: frames go to no such server */
    DISPLAY_NOT_OURS, /* the server belongs to another user */
};

struct display {
    char number[6];
    char host[65];
    size_t length; /* of the cookie file */
    uint8_t file[XAUTH_FILE_MAX];
};

/*
 * Takes the number out of `name`, the value of DISPLAY, or NULL: ":7", ":7.0", "unix:7". Returns
 * 0, DISPLAY_NONE or DISPLAY_FOREIGN.
 */
int display_find(struct display *out, const char *name);

/*
 * Reads the bytes of the file that XAUTHORITY names, else ~/.Xauthority. A server may ask for no
 * cookie, so there is nothing to fail.
 */
void display_read_cookie(struct display *display);

/*
 * Connects to the server's socket in `folder` (DISPLAY_FOLDER) and reads nothing. Returns 0 with a
 * descriptor in `fd` that the caller closes, DISPLAY_NOT_OURS, or -errno.
 */
int display_dial(const struct display *display, const char *folder, int *fd);

/* Takes the cookie out of the file's bytes, which are wiped. Returns whether there is one. */
bool display_cookie(struct display *display, struct xauth_cookie *out);

#endif

/*
 * A window that shows one picture, scaled to fit, and tells what the user does to it: our own, on
 * libxcb alone, so that no frame has to be given to another program or written to a file.
 *
 * One thread. Poll viewer_fd, then take events until VIEWER_NOTHING.
 */
#ifndef CLOISTER_VIEWER_H
#define CLOISTER_VIEWER_H

#include "picture.h"
#include "xauth.h"

enum viewer_event_kind {
    VIEWER_NOTHING,
    VIEWER_NEXT,   /* Right, Space, n */
    VIEWER_BACK,   /* Left, Backspace, p */
    VIEWER_DROP,   /* d: drop this frame or take it back */
    VIEWER_REDACT, /* dragged with the first button */
    VIEWER_UNDO,   /* u: take the last rectangle back */
    VIEWER_CLOSED, /* Escape, q, or the window manager */
    VIEWER_LOST,   /* the X server is gone */
};

struct viewer_event {
    enum viewer_event_kind kind;
    struct rectangle area; /* VIEWER_REDACT: in pixels of the picture */
};

struct viewer;

/*
 * Speaks for the first time with the X server that `fd` is connected to, which becomes the
 * viewer's, whatever is returned; `cookie` may be NULL. Here the first byte of the server's is
 * parsed: in a process that is locked. Shows nothing yet. Returns 0, -ENOTCONN (the server refuses,
 * or hangs up), -ENOTSUP (its setup makes no sense, or is without 24-bit little-endian colour) or
 * -ENOMEM.
 */
int viewer_new(struct viewer **out, int fd, const struct xauth_cookie *cookie);

/* Closes the window and the connection. NULL is allowed. Returns NULL. */
struct viewer *viewer_free(struct viewer *viewer);

/*
 * Shows `picture`, which becomes the viewer's, under `caption` (ASCII). Opens the window if it is
 * closed. Returns 0 or -ENOTCONN.
 */
int viewer_show(struct viewer *viewer, struct picture *picture, const char *caption);

/* Hides the window and forgets the picture. */
void viewer_hide(struct viewer *viewer);

int viewer_fd(const struct viewer *viewer);
struct viewer_event viewer_next(struct viewer *viewer);

#endif

/*
 * Capture's connection to the X server: what it watches, and what it asks.
 *
 * The socket is connected before the worker's lock (x11_dial) and first read after it (x11_start).
 * The replies come from a process of the session and are treated as hostile as far as memory goes;
 * that the server shows what is on the screen must be believed.
 *
 * Extensions: XInput 2.2 for raw events, which reach a client that has no focus; MIT-SHM 1.2;
 * RandR 1.5 for monitors and MIT-SCREEN-SAVER, where the server has them. XTEST and the like are
 * never used: capture looks and does nothing else.
 *
 * Belongs to one thread at a time.
 */
#ifndef CLOISTER_CAPTURE_X11_H
#define CLOISTER_CAPTURE_X11_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <xcb/xcb.h>

#include "picture.h"
#include "record.h"
#include "trigger.h"
#include "xauth.h"

enum x11_outcome {
    X11_OK = 0,
    X11_EMPTY = 1,    /* no event waits */
    X11_LOST = 2,     /* the connection ended */
    X11_REFUSED = 3,  /* the server does not let us in */
    X11_MISSING = 4,  /* an extension that capture needs is not there */
    X11_VISUAL = 5,   /* the screen is not 24 bits deep with 8 bits each of B, G, R and padding */
    X11_WAYLAND = 6,  /* an Xwayland server, which shows only X11 windows on black */
    X11_CHANGED = 7,  /* the screen changed its size under the request: ask again */
    X11_TOO_LARGE = 8 /* a desktop beyond FRAME_PICTURE_MAX */
};

enum x11_event_kind {
    X11_EVENT_TRIGGER = 1,
    X11_EVENT_MONITORS = 2, /* size, place or number of monitors may have changed */
    X11_EVENT_SAVER = 3,    /* the screen saver began or ended */
    X11_EVENT_WINDOW = 4,   /* a child of the root was made, mapped, unmapped, moved or destroyed */
};

struct x11_event {
    enum x11_event_kind kind;
    struct trigger trigger;            /* X11_EVENT_TRIGGER */
    bool saver_on;                     /* X11_EVENT_SAVER */
    const xcb_generic_event_t *window; /* X11_EVENT_WINDOW; valid until the next x11_next */
};

struct x11_atoms {
    xcb_atom_t net_active_window, net_wm_name, utf8_string;
};

struct x11 {
    xcb_connection_t *connection;
    xcb_window_t root;
    uint32_t resource_mask; /* the bits of an id that are not its client's */
    struct x11_atoms atoms;
    uint64_t trigger_set;
    struct trigger_keys keys;
    bool keys_changed; /* and have not been read again */
    uint8_t xinput_opcode;
    uint8_t randr_event; /* 0: not there */
    uint8_t saver_event; /* 0: not there */
    bool saver_on;       /* as x11_start found it */
    uint32_t segment;    /* of MIT-SHM */
    uint16_t width, height;
    uint8_t monitor_count;
    struct frame_monitor monitors[FRAME_MONITORS_MAX];
    xcb_generic_event_t *event; /* the one that x11_next returned */
};

/*
 * Connects to the server's socket `path` ("/tmp/.X11-unix/X0"), reading and writing nothing.
 * Returns a close-on-exec descriptor or -errno (-ENOENT, -ECONNREFUSED: no server there now).
 */
int x11_dial(const char *path);

/*
 * Who listens at the other end of the connected socket `fd`: the effective user at the time of its
 * listen(2), as unix(7) says of SO_PEERCRED. Whoever is first binds a display's path, so nothing
 * may be said to a server before its owner is known. Returns 0 or -errno.
 */
int x11_owner(int fd, uid_t *owner);

/*
 * Says hello over `fd` (taken over in any case) with `cookie` (NULL: none), checks what the server
 * is, attaches the picture's shared memory and asks for the events of the `trigger_set` and, if
 * `watch_windows`, of the root's children. Returns X11_OK, X11_LOST, X11_REFUSED, X11_MISSING,
 * X11_VISUAL, X11_WAYLAND, or -ENOMEM; `why` (of `capacity` bytes) gets a few words in case of an
 * error.
 */
int x11_start(struct x11 **out, int fd, const struct xauth_cookie *cookie, struct picture *picture,
              uint64_t trigger_set, bool watch_windows, char *why, size_t capacity);

/* Disconnects; accepts NULL, returns NULL. */
struct x11 *x11_free(struct x11 *x11);

/* A descriptor that polls readable when the server says something. Belongs to the connection. */
int x11_fd(const struct x11 *x11);

/*
 * Takes the next event without waiting. Key and button presses that are no trigger are wiped and
 * skipped here. Returns X11_OK, X11_EMPTY or X11_LOST. Ask until X11_EMPTY, also after every other
 * call, before waiting on x11_fd: events may have come in with replies.
 */
int x11_next(struct x11 *x11, struct x11_event *event);

/* Reads the desktop's size and the monitors. Returns X11_OK, X11_LOST or X11_TOO_LARGE. */
int x11_read_monitors(struct x11 *x11);

/*
 * Has the server copy the whole desktop, x11->width * x11->height pixels, into the shared memory,
 * and waits for it. Returns X11_OK, X11_LOST, or X11_CHANGED.
 */
int x11_grab(struct x11 *x11);

/* The two halves of x11_grab, between which other requests can be sent. */
unsigned x11_grab_begin(struct x11 *x11);
int x11_grab_end(struct x11 *x11, unsigned sequence);

#endif

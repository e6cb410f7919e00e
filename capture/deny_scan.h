/* What a scan holds. Internal to deny.c and deny_track.c. */
#ifndef CLOISTER_CAPTURE_DENY_SCAN_H
#define CLOISTER_CAPTURE_DENY_SCAN_H

#include "deny.h"

#define DENY_WINDOWS_MAX 4096U

struct deny_window {
    xcb_window_t id;
    xcb_window_t top; /* the child of the root that holds it, or itself */
    xcb_window_t transient_for;
    bool transient; /* has WM_TRANSIENT_FOR */
    bool override_redirect;
    bool mapped;
    bool shown; /* mapped, viewable, with pixels */
    bool denied;
    bool holds_denied;          /* of a top: it or a window below it is denied */
    struct rectangle rectangle; /* of a top, border included */
};

struct deny_scan {
    size_t count;
    bool incomplete;
    struct deny_window windows[DENY_WINDOWS_MAX];
};

#endif

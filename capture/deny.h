/*
 * The windows that no frame shows: those whose WM_CLASS is on the deny list, and what belongs to
 * them. Read from the X server as a whole, since windows come and go as they like.
 *
 * Denied is a mapped window, at whatever depth, whose WM_CLASS matches; one that is
 * WM_TRANSIENT_FOR (ICCCM section 4.1.2.6) a denied one, mapped or not; one that is transient for
 * its whole group and belongs to the same client as a denied one; and an override-redirect window
 * (a menu, a tooltip) of such a client. What is blanked is the child of the root that holds the
 * window, that is the window manager's frame, since the frame shows the title.
 *
 * A scan that cannot be finished (too many windows, too deep) denies everything. What it cannot
 * know: pictures of windows that others draw, such as a task bar's thumbnails.
 */
#ifndef CLOISTER_CAPTURE_DENY_H
#define CLOISTER_CAPTURE_DENY_H

#include <stdbool.h>
#include <stdint.h>

#include "blank.h"
#include "pattern.h"
#include "x11.h"

struct deny_scan;

/* Makes an empty scan. Returns 0 or -ENOMEM. */
int deny_scan_new(struct deny_scan **out);
struct deny_scan *deny_scan_free(struct deny_scan *scan);

/*
 * Reads all mapped windows and decides which are denied, in one round trip per level of the tree.
 * Returns X11_OK or X11_LOST.
 */
int deny_scan_read(struct deny_scan *scan, struct x11 *x11, const struct pattern_list *patterns);

/* Adds the rectangles to be blanked. */
void deny_scan_blank(const struct deny_scan *scan, struct blank_list *list);

/* Whether the title of `window` may be shown: the scan has seen it and nothing around it is denied.
 */
bool deny_scan_allows(const struct deny_scan *scan, xcb_window_t window);

/*
 * Where denied windows were a moment ago. A compositor shows a window for some time after it was
 * unmapped or moved (fading, lag), and what lay beneath may not be drawn yet: for DENY_LINGER_MS
 * the old place is blanked too. Fed with scans and with the events of the root's children.
 */
#define DENY_LINGER_MS   1000U
#define DENY_TRACKED_MAX 128U
#define DENY_UNKNOWN_MAX 128U
#define DENY_SIZES_MAX   256U

struct deny_place {
    xcb_window_t window; /* a child of the root; 0: it has left this place at `left_ms` */
    uint64_t left_ms;
    struct rectangle rectangle;
};

struct deny_track {
    size_t count;
    bool overflow; /* more than fit; until `overflow_ms` + DENY_LINGER_MS everything is blanked */
    uint64_t overflow_ms;
    struct deny_place places[DENY_TRACKED_MAX];
    /* Mapped, and no scan has seen them since. What leaves the screen without having been looked at
     * may have been denied: its place is blanked too, and everything if that is not known. */
    size_t unknown_count;
    bool unknown_overflow;
    xcb_window_t unknown[DENY_UNKNOWN_MAX];
    /* Where children of the root were last put, the latest of them. */
    size_t next_size;
    struct deny_size {
        xcb_window_t window;
        struct rectangle rectangle;
    } sizes[DENY_SIZES_MAX];
};

/* Takes over what a scan has found. */
void deny_track_scan(struct deny_track *track, const struct deny_scan *scan, uint64_t now_ms);

/* Takes an event of a child of the root; returns whether a new scan is due (a window was mapped).
 */
bool deny_track_event(struct deny_track *track, const xcb_generic_event_t *event, uint64_t now_ms);

/* Adds the places that were left less than DENY_LINGER_MS ago, and forgets older ones. */
void deny_track_blank(struct deny_track *track, struct blank_list *list, uint64_t now_ms);

#endif

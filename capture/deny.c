#include "deny.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "deny_scan.h"

#define DEPTH_MAX  12U
#define ROUNDS_MAX 8U
#define HIDDEN_MAX 64U
/* Enough of a WM_CLASS, in units of 4 bytes. */
#define CLASS_WORDS 64U

/* The requests that are under way for one window. */
struct asked {
    xcb_get_window_attributes_cookie_t attributes;
    xcb_get_geometry_cookie_t geometry;
    xcb_get_property_cookie_t wm_class, transient;
    xcb_query_tree_cookie_t tree;
};

int deny_scan_new(struct deny_scan **out)
{
    *out = calloc(1, sizeof(**out));
    return *out != NULL ? 0 : -ENOMEM;
}

struct deny_scan *deny_scan_free(struct deny_scan *scan)
{
    free(scan);
    return NULL;
}

static void ask(struct x11 *x11, const struct deny_window *window, struct asked *asked)
{
    xcb_connection_t *c = x11->connection;
    asked->attributes = xcb_get_window_attributes(c, window->id);
    if (window->top == window->id)
        asked->geometry = xcb_get_geometry(c, window->id);
    asked->wm_class =
        xcb_get_property(c, 0, window->id, XCB_ATOM_WM_CLASS, XCB_ATOM_STRING, 0, CLASS_WORDS);
    asked->transient =
        xcb_get_property(c, 0, window->id, XCB_ATOM_WM_TRANSIENT_FOR, XCB_ATOM_WINDOW, 0, 1);
    asked->tree = xcb_query_tree(c, window->id);
}

static void take_attributes(struct x11 *x11, struct deny_window *window, const struct asked *asked)
{
    xcb_get_window_attributes_reply_t *reply =
        xcb_get_window_attributes_reply(x11->connection, asked->attributes, NULL);
    window->mapped = reply != NULL && reply->map_state == XCB_MAP_STATE_VIEWABLE;
    window->shown = window->mapped && reply->_class == XCB_WINDOW_CLASS_INPUT_OUTPUT;
    window->override_redirect = reply != NULL && reply->override_redirect;
    free(reply);
}

static void take_geometry(struct x11 *x11, struct deny_window *window, const struct asked *asked)
{
    if (window->top != window->id)
        return;
    xcb_get_geometry_reply_t *reply =
        xcb_get_geometry_reply(x11->connection, asked->geometry, NULL);
    if (reply == NULL)
        window->shown = false;
    else
        window->rectangle =
            (struct rectangle){reply->x, reply->y, reply->width + 2U * reply->border_width,
                               reply->height + 2U * reply->border_width};
    free(reply);
}

/* The length of a property of 8 bit units, of which no more may be read than has arrived. */
static size_t property_length(const xcb_get_property_reply_t *reply)
{
    size_t says = reply->format == 8 ? reply->value_len : 0;
    size_t there = (size_t)reply->length * 4;
    return says < there ? says : there;
}

static bool take_class(struct x11 *x11, xcb_get_property_cookie_t cookie,
                       const struct pattern_list *patterns)
{
    xcb_get_property_reply_t *reply = xcb_get_property_reply(x11->connection, cookie, NULL);
    bool matches = reply != NULL && pattern_list_matches(patterns, xcb_get_property_value(reply),
                                                         property_length(reply));
    free(reply);
    return matches;
}

static void take_transient(struct x11 *x11, struct deny_window *window, const struct asked *asked)
{
    xcb_get_property_reply_t *reply =
        xcb_get_property_reply(x11->connection, asked->transient, NULL);
    if (reply != NULL && reply->format == 32 && reply->value_len == 1 && reply->length >= 1) {
        memcpy(&window->transient_for, xcb_get_property_value(reply), 4);
        window->transient = true;
    }
    free(reply);
}

static void add(struct deny_scan *scan, xcb_window_t id, xcb_window_t top)
{
    if (scan->count == DENY_WINDOWS_MAX) {
        scan->incomplete = true;
        return;
    }
    scan->windows[scan->count++] = (struct deny_window){.id = id, .top = top};
}

static void take_children(struct deny_scan *scan, struct x11 *x11, xcb_query_tree_cookie_t cookie,
                          xcb_window_t top, bool wanted)
{
    xcb_query_tree_reply_t *reply = xcb_query_tree_reply(x11->connection, cookie, NULL);
    if (reply != NULL && wanted) {
        const xcb_window_t *children = xcb_query_tree_children(reply);
        uint32_t count = reply->children_len < reply->length ? reply->children_len : reply->length;
        for (uint32_t i = 0; i < count && !scan->incomplete; i++)
            add(scan, children[i], top != 0 ? top : children[i]);
    }
    free(reply);
}

/* Reads the windows from `first` up to `end`, and adds their children behind them. */
static int read_level(struct deny_scan *scan, struct x11 *x11, const struct pattern_list *patterns,
                      size_t first, size_t end)
{
    struct asked *asked = calloc(end - first, sizeof(*asked));
    if (asked == NULL) {
        scan->incomplete = true;
        return X11_OK;
    }
    for (size_t i = first; i < end; i++)
        ask(x11, &scan->windows[i], &asked[i - first]);
    for (size_t i = first; i < end; i++) {
        struct deny_window *window = &scan->windows[i];
        const struct asked *mine = &asked[i - first];
        take_attributes(x11, window, mine);
        take_geometry(x11, window, mine);
        bool matches = take_class(x11, mine->wm_class, patterns);
        window->denied = matches && window->shown;
        take_transient(x11, window, mine);
        take_children(scan, x11, mine->tree, window->top, window->shown);
    }
    free(asked);
    return xcb_connection_has_error(x11->connection) ? X11_LOST : X11_OK;
}

static int read_tree(struct deny_scan *scan, struct x11 *x11, const struct pattern_list *patterns)
{
    scan->count = 0;
    scan->incomplete = false;
    take_children(scan, x11, xcb_query_tree(x11->connection, x11->root), 0, true);
    size_t first = 0;
    for (unsigned depth = 0; first < scan->count && !scan->incomplete; depth++) {
        size_t end = scan->count;
        if (depth == DEPTH_MAX)
            scan->incomplete = true;
        else if (read_level(scan, x11, patterns, first, end) != X11_OK)
            return X11_LOST;
        first = end;
    }
    return xcb_connection_has_error(x11->connection) ? X11_LOST : X11_OK;
}

static const struct deny_window *find(const struct deny_scan *scan, xcb_window_t id)
{
    for (size_t i = 0; i < scan->count; i++)
        if (scan->windows[i].id == id)
            return &scan->windows[i];
    return NULL;
}

/* A dialog may belong to a main window that is not mapped, and so was not read. */
static void read_hidden_parents(struct deny_scan *scan, struct x11 *x11,
                                const struct pattern_list *patterns)
{
    size_t asked = 0;
    for (size_t i = 0; i < scan->count; i++) {
        struct deny_window *window = &scan->windows[i];
        if (!window->shown || window->denied || !window->transient || window->transient_for == 0 ||
            window->transient_for == x11->root)
            continue;
        const struct deny_window *target = find(scan, window->transient_for);
        if (target != NULL && target->shown)
            continue;
        if (++asked > HIDDEN_MAX) {
            scan->incomplete = true;
            return;
        }
        window->denied =
            take_class(x11,
                       xcb_get_property(x11->connection, 0, window->transient_for,
                                        XCB_ATOM_WM_CLASS, XCB_ATOM_STRING, 0, CLASS_WORDS),
                       patterns);
    }
}

static bool same_client_denied(const struct deny_scan *scan, const struct x11 *x11,
                               xcb_window_t window)
{
    for (size_t i = 0; i < scan->count; i++)
        if (scan->windows[i].denied &&
            (scan->windows[i].id & ~x11->resource_mask) == (window & ~x11->resource_mask))
            return true;
    return false;
}

static bool belongs_to_denied(const struct deny_scan *scan, const struct x11 *x11,
                              const struct deny_window *window)
{
    if (window->transient && window->transient_for != 0 && window->transient_for != x11->root) {
        const struct deny_window *target = find(scan, window->transient_for);
        if (target != NULL && target->denied)
            return true;
    } else if (window->transient && same_client_denied(scan, x11, window->id)) {
        return true;
    }
    return window->override_redirect && window->id == window->top &&
           same_client_denied(scan, x11, window->id);
}

static void spread(struct deny_scan *scan, const struct x11 *x11)
{
    bool changed = true;
    for (unsigned round = 0; changed; round++) {
        changed = false;
        for (size_t i = 0; i < scan->count; i++) {
            struct deny_window *window = &scan->windows[i];
            if (window->denied || !window->shown || !belongs_to_denied(scan, x11, window))
                continue;
            window->denied = true;
            changed = true;
        }
        if (changed && round == ROUNDS_MAX) {
            scan->incomplete = true;
            return;
        }
    }
}

static void mark_tops(struct deny_scan *scan)
{
    for (size_t i = 0; i < scan->count; i++)
        if (scan->windows[i].denied)
            scan->windows[find(scan, scan->windows[i].top) - scan->windows].holds_denied = true;
}

int deny_scan_read(struct deny_scan *scan, struct x11 *x11, const struct pattern_list *patterns)
{
    int outcome = read_tree(scan, x11, patterns);
    if (outcome != X11_OK || scan->incomplete)
        return outcome;
    read_hidden_parents(scan, x11, patterns);
    spread(scan, x11);
    mark_tops(scan);
    return xcb_connection_has_error(x11->connection) ? X11_LOST : X11_OK;
}

void deny_scan_blank(const struct deny_scan *scan, struct blank_list *list)
{
    list->everything |= scan->incomplete;
    for (size_t i = 0; i < scan->count; i++)
        if (scan->windows[i].holds_denied)
            blank_add(list, scan->windows[i].rectangle);
}

bool deny_scan_allows(const struct deny_scan *scan, xcb_window_t window)
{
    const struct deny_window *seen = scan->incomplete ? NULL : find(scan, window);
    return seen != NULL && seen->shown && !seen->denied && !find(scan, seen->top)->holds_denied;
}

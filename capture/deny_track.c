#include <string.h>

#include "deny_scan.h"

static void add(struct deny_track *track, xcb_window_t window, struct rectangle rectangle,
                uint64_t now_ms)
{
    if (track->count == DENY_TRACKED_MAX) {
        track->overflow = true;
        track->overflow_ms = now_ms;
        return;
    }
    track->places[track->count++] = (struct deny_place){window, now_ms, rectangle};
}

static struct deny_place *find(struct deny_track *track, xcb_window_t window)
{
    for (size_t i = 0; window != 0 && i < track->count; i++)
        if (track->places[i].window == window)
            return &track->places[i];
    return NULL;
}

/* The window is where it says now, and was in another place until now. */
static void move(struct deny_track *track, struct deny_place *place, struct rectangle rectangle,
                 uint64_t now_ms)
{
    if (memcmp(&place->rectangle, &rectangle, sizeof(rectangle)) == 0)
        return;
    xcb_window_t window = place->window;
    place->window = 0;
    place->left_ms = now_ms;
    add(track, window, rectangle, now_ms);
}

void deny_track_scan(struct deny_track *track, const struct deny_scan *scan, uint64_t now_ms)
{
    if (scan->incomplete) {
        track->overflow = true;
        track->overflow_ms = now_ms;
        return;
    }
    for (size_t i = 0; i < scan->count; i++) {
        const struct deny_window *window = &scan->windows[i];
        if (!window->holds_denied)
            continue;
        struct deny_place *place = find(track, window->id);
        if (place != NULL)
            move(track, place, window->rectangle, now_ms);
        else
            add(track, window->id, window->rectangle, now_ms);
    }
}

static void leave(struct deny_track *track, xcb_window_t window, uint64_t now_ms)
{
    struct deny_place *place = find(track, window);
    if (place == NULL)
        return;
    place->window = 0;
    place->left_ms = now_ms;
}

static void configured(struct deny_track *track, const xcb_configure_notify_event_t *event,
                       uint64_t now_ms)
{
    struct deny_place *place = find(track, event->window);
    if (place == NULL)
        return;
    struct rectangle now = {event->x, event->y, event->width + 2U * event->border_width,
                            event->height + 2U * event->border_width};
    move(track, place, now, now_ms);
}

bool deny_track_event(struct deny_track *track, const xcb_generic_event_t *event, uint64_t now_ms)
{
    switch (event->response_type & 0x7f) {
    case XCB_MAP_NOTIFY:
        return true;
    case XCB_UNMAP_NOTIFY:
        leave(track, ((const xcb_unmap_notify_event_t *)event)->window, now_ms);
        return false;
    case XCB_DESTROY_NOTIFY:
        leave(track, ((const xcb_destroy_notify_event_t *)event)->window, now_ms);
        return false;
    case XCB_REPARENT_NOTIFY:
        leave(track, ((const xcb_reparent_notify_event_t *)event)->window, now_ms);
        return false;
    case XCB_CONFIGURE_NOTIFY:
        configured(track, (const xcb_configure_notify_event_t *)event, now_ms);
        return false;
    default:
        return false;
    }
}

void deny_track_blank(struct deny_track *track, struct blank_list *list, uint64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < track->count; i++) {
        struct deny_place *place = &track->places[i];
        if (place->window == 0 && now_ms - place->left_ms >= DENY_LINGER_MS)
            continue;
        if (place->window == 0)
            blank_add(list, place->rectangle);
        track->places[kept++] = *place;
    }
    track->count = kept;
    track->overflow &= now_ms - track->overflow_ms < DENY_LINGER_MS;
    list->everything |= track->overflow;
}

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

static void overflow(struct deny_track *track, uint64_t now_ms)
{
    track->overflow = true;
    track->overflow_ms = now_ms;
}

static struct deny_size *find_size(struct deny_track *track, xcb_window_t window)
{
    for (size_t i = 0; i < DENY_SIZES_MAX; i++)
        if (track->sizes[i].window == window)
            return &track->sizes[i];
    return NULL;
}

static size_t find_unknown(const struct deny_track *track, xcb_window_t window)
{
    size_t i = 0;
    while (i < track->unknown_count && track->unknown[i] != window)
        i++;
    return i;
}

/* The place of a window that may have been denied is not its own any more. */
static void leave_unknown(struct deny_track *track, xcb_window_t window, uint64_t now_ms)
{
    const struct deny_size *size = find_size(track, window);
    if (size == NULL) {
        overflow(track, now_ms);
        return;
    }
    /* One that blinks must not fill the table. */
    for (size_t i = 0; i < track->count; i++) {
        struct deny_place *place = &track->places[i];
        if (place->window != 0 ||
            memcmp(&place->rectangle, &size->rectangle, sizeof(place->rectangle)) != 0)
            continue;
        place->left_ms = now_ms;
        return;
    }
    add(track, 0, size->rectangle, now_ms);
}

static void put(struct deny_track *track, xcb_window_t window, struct rectangle rectangle,
                uint64_t now_ms)
{
    struct deny_size *size = find_size(track, window);
    if (find_unknown(track, window) < track->unknown_count)
        leave_unknown(track, window, now_ms);
    if (size == NULL)
        size = &track->sizes[track->next_size++ % DENY_SIZES_MAX];
    *size = (struct deny_size){window, rectangle};
}

static void mapped(struct deny_track *track, xcb_window_t window)
{
    if (find_unknown(track, window) < track->unknown_count)
        return;
    if (track->unknown_count == DENY_UNKNOWN_MAX)
        track->unknown_overflow = true;
    else
        track->unknown[track->unknown_count++] = window;
}

/* What the scan has seen on the screen is known. What has left before is told of soon: it stays. */
static void learn(struct deny_track *track, const struct deny_scan *scan, uint64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < track->unknown_count; i++) {
        bool seen = false;
        for (size_t k = 0; k < scan->count && !seen; k++)
            seen = scan->windows[k].id == track->unknown[i] && scan->windows[k].mapped;
        if (!seen)
            track->unknown[kept++] = track->unknown[i];
    }
    track->unknown_count = kept;
    if (track->unknown_overflow)
        overflow(track, now_ms);
    track->unknown_overflow = false;
}

void deny_track_scan(struct deny_track *track, const struct deny_scan *scan, uint64_t now_ms)
{
    if (scan->incomplete) {
        overflow(track, now_ms);
        return;
    }
    learn(track, scan, now_ms);
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
    size_t unknown = find_unknown(track, window);
    if (unknown < track->unknown_count) {
        track->unknown[unknown] = track->unknown[--track->unknown_count];
        leave_unknown(track, window, now_ms);
    }
    if (track->unknown_overflow)
        overflow(track, now_ms);
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
    struct rectangle now = {event->x, event->y, event->width + 2U * event->border_width,
                            event->height + 2U * event->border_width};
    put(track, event->window, now, now_ms);
    if (place != NULL)
        move(track, place, now, now_ms);
}

static void created(struct deny_track *track, const xcb_create_notify_event_t *event,
                    uint64_t now_ms)
{
    struct rectangle now = {event->x, event->y, event->width + 2U * event->border_width,
                            event->height + 2U * event->border_width};
    put(track, event->window, now, now_ms);
}

bool deny_track_event(struct deny_track *track, const xcb_generic_event_t *event, uint64_t now_ms)
{
    switch (event->response_type & 0x7f) {
    case XCB_CREATE_NOTIFY:
        created(track, (const xcb_create_notify_event_t *)event, now_ms);
        return false;
    case XCB_MAP_NOTIFY:
        mapped(track, ((const xcb_map_notify_event_t *)event)->window);
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

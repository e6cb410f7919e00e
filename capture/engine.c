#include "engine.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "clock.h"
#include "deny.h"
#include "encode.h"
#include "window.h"

/* A budget may be spent this long in advance. */
#define BURST_SECONDS 10U
/* The desktop may change under a grab this often in a row before the trigger is given up. */
#define GRAB_TRIES 4U
/* A server that is stopped for a while by another client must not use up the budget of minutes. */
#define WAITED_MAX_US 50000U
/* Maps within this time share one scan: any client can map windows without end. */
#define SCAN_EVERY_MS 200U
/* Beside enum engine_outcome, within this file: the desktop did not hold still. */
#define GIVEN_UP 100

struct engine {
    struct x11 *x11;
    struct picture *picture;
    struct ring *ring;
    struct frame_encoder *encoder;
    struct pattern_list deny;
    struct deny_scan *before, *after;
    struct deny_track track;
    struct blank_list blank;
    uint32_t scans;
    uint64_t scanned_ms; /* when windows were last looked at */
    struct budget cpu, bytes;
    struct trigger pending; /* kind 0: none */
    uint32_t pending_merged;
    uint64_t pending_us; /* when its event was seen */
    uint64_t last_id;    /* of any frame ever */
    uint64_t base_id;    /* what picture->previous shows; 0: nothing */
    uint64_t resume_ms;  /* end of the pause; 0: none */
    uint64_t resume_unix_ms;
    bool saver_on, session_active, monitors_changed, scan_due;
    uint32_t merged;
    uint64_t forgotten;
    struct engine_cost cost;
};

static int of_x11(int outcome)
{
    return outcome == X11_TOO_LARGE ? ENGINE_TOO_LARGE : ENGINE_LOST;
}

static void make_budgets(struct engine *engine, const struct engine_config *config)
{
    uint64_t now = clock_ms();
    uint64_t us_per_second = (config->cpu_percent > 0 ? config->cpu_percent : 1) * UINT64_C(10000);
    engine->cpu = budget_new(us_per_second, us_per_second * BURST_SECONDS, now);
    /* What fills the ring in the time that it reaches back; half of it may come at once. */
    uint64_t seconds = config->limits.max_age_ms / 1000;
    engine->bytes = budget_new(config->limits.max_bytes / (seconds > 0 ? seconds : 1),
                               config->limits.max_bytes / 2, now);
}

int engine_new(struct engine **out)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL)
        return -ENOMEM;
    int error = ring_new(&engine->ring, &(struct ring_limits){1, 1, 1});
    if (error == 0)
        error = frame_encoder_new(&engine->encoder);
    if (error == 0)
        error = deny_scan_new(&engine->before);
    if (error == 0)
        error = deny_scan_new(&engine->after);
    if (error != 0) {
        engine_free(engine);
        return error;
    }
    *out = engine;
    return 0;
}

int engine_begin(struct engine *engine, const struct engine_config *config, struct x11 *x11,
                 struct picture *picture)
{
    int error = ring_limit(engine->ring, &config->limits);
    if (error != 0)
        return error;
    engine->x11 = x11;
    engine->picture = picture;
    engine->deny = config->deny;
    engine->session_active = config->session_active;
    engine->saver_on = x11->saver_on;
    engine->scan_due = true;
    engine->base_id = 0;
    engine->pending.kind = 0;
    picture_forget(picture);
    make_budgets(engine, config);
    return ENGINE_OK;
}

struct engine *engine_free(struct engine *engine)
{
    if (engine == NULL)
        return NULL;
    ring_free(engine->ring);
    frame_encoder_free(engine->encoder);
    deny_scan_free(engine->before);
    deny_scan_free(engine->after);
    if (engine->picture != NULL)
        picture_forget(engine->picture);
    free(engine);
    return NULL;
}

void engine_forget(struct engine *engine)
{
    ring_forget(engine->ring);
    picture_forget(engine->picture);
    engine->base_id = 0;
    engine->pending.kind = 0;
    engine->pending_merged = 0;
    engine->forgotten++;
}

static bool suspended(const struct engine *engine)
{
    return engine->saver_on || !engine->session_active;
}

/* A trigger that cannot have its frame now adds to the one that waits. */
static void take_trigger(struct engine *engine, struct trigger trigger)
{
    if (suspended(engine) || engine->resume_ms != 0)
        return;
    if (engine->pending.kind != 0) {
        engine->pending_merged++;
        engine->merged++;
        return;
    }
    engine->pending = trigger;
    engine->pending_merged = 0;
    engine->pending_us = clock_us(CLOCK_MONOTONIC);
}

static void take_event(struct engine *engine, const struct x11_event *event)
{
    switch (event->kind) {
    case X11_EVENT_TRIGGER:
        take_trigger(engine, event->trigger);
        break;
    case X11_EVENT_MONITORS:
        engine->monitors_changed = true;
        break;
    case X11_EVENT_SAVER:
        if (event->saver_on && !engine->saver_on)
            engine_forget(engine);
        engine->saver_on = event->saver_on;
        break;
    case X11_EVENT_WINDOW:
        engine->scan_due |= deny_track_event(&engine->track, event->window, clock_ms());
        break;
    }
}

static int take_events(struct engine *engine)
{
    struct x11_event event;
    int outcome;
    while ((outcome = x11_next(engine->x11, &event)) == X11_OK)
        take_event(engine, &event);
    return outcome == X11_EMPTY ? ENGINE_OK : ENGINE_LOST;
}

/* Reads where denied windows are. */
static int scan(struct engine *engine, struct deny_scan *into)
{
    if (engine->deny.count == 0)
        return X11_OK;
    int outcome = deny_scan_read(into, engine->x11, &engine->deny);
    engine->scans++;
    engine->scanned_ms = clock_ms();
    if (outcome == X11_OK) {
        deny_track_scan(&engine->track, into, clock_ms());
        deny_scan_blank(into, &engine->blank);
    }
    return outcome;
}

/* Buffers of the desktop's size; a changed size makes a key frame. */
static int fit_picture(struct engine *engine)
{
    struct x11 *x11 = engine->x11;
    if (engine->monitors_changed) {
        engine->monitors_changed = false;
        int outcome = x11_read_monitors(x11);
        if (outcome != X11_OK)
            return of_x11(outcome);
    }
    if (x11->width == engine->picture->width && x11->height == engine->picture->height)
        return ENGINE_OK;
    engine->base_id = 0;
    int outcome = picture_resize(engine->picture, x11->width, x11->height);
    return outcome == PICTURE_TOO_LARGE ? ENGINE_TOO_LARGE : outcome;
}

static void withhold(struct frame_info *info)
{
    info->flags |= FRAME_TITLE_WITHHELD;
    info->title_length = 0;
    explicit_bzero(info->title, sizeof(info->title));
}

/* One look at the screen, with the title in the same round trip and the deny list around it. */
static int look(struct engine *engine, struct frame_info *info)
{
    struct x11 *x11 = engine->x11;
    engine->blank.count = 0;
    engine->blank.everything = false;
    if (scan(engine, engine->before) != X11_OK)
        return X11_LOST;
    xcb_window_t active = window_active(x11);
    struct window_asked asked = window_title_begin(x11, active);
    uint64_t start = clock_us(CLOCK_MONOTONIC);
    unsigned grab = x11_grab_begin(x11);
    info->title_length = (uint16_t)window_title_end(x11, &asked, info->title);
    int outcome = x11_grab_end(x11, grab);
    engine->cost.grab_us = clock_us(CLOCK_MONOTONIC) - start;
    if (outcome != X11_OK)
        return outcome;
    if (scan(engine, engine->after) != X11_OK)
        return X11_LOST;
    if (engine->deny.count == 0)
        return X11_OK;
    deny_track_blank(&engine->track, &engine->blank, clock_ms());
    if (active != XCB_WINDOW_NONE &&
        (!deny_scan_allows(engine->before, active) || !deny_scan_allows(engine->after, active)))
        withhold(info);
    struct picture *picture = engine->picture;
    if (blank_apply(&engine->blank, picture->shared, picture->width, picture->height,
                    (size_t)picture->width * FRAME_PIXEL_BYTES))
        info->flags |= FRAME_BLANKED;
    return X11_OK;
}

/* Looks until the desktop holds still. Returns an engine_outcome, -errno or GIVEN_UP. */
static int look_steadily(struct engine *engine, struct frame_info *info)
{
    for (unsigned try = 0; try < GRAB_TRIES; try++) {
        int outcome = fit_picture(engine);
        if (outcome != ENGINE_OK)
            return outcome;
        outcome = look(engine, info);
        if (outcome != X11_CHANGED)
            return outcome == X11_OK ? ENGINE_OK : ENGINE_LOST;
        engine->monitors_changed = true;
    }
    return GIVEN_UP;
}

static void describe(const struct engine *engine, struct frame_info *info, bool key)
{
    const struct x11 *x11 = engine->x11;
    info->kind = key ? FRAME_KEY : FRAME_DELTA;
    info->base = key ? 0 : engine->base_id;
    info->width = engine->picture->width;
    info->height = engine->picture->height;
    info->monitor_count = x11->monitor_count;
    memcpy(info->monitors, x11->monitors, sizeof(info->monitors));
}

/* Packs, encrypts and keeps what the picture shows. */
static int keep(struct engine *engine, struct frame_info *info, bool key)
{
    struct picture *picture = engine->picture;
    size_t length = 0;
    describe(engine, info, key);
    int outcome = frame_encode(engine->encoder, info, picture->shared,
                               (size_t)picture->width * FRAME_PIXEL_BYTES, picture->previous,
                               picture->record, picture->record_capacity, &length);
    if (outcome != FRAME_OK)
        return -EINVAL;
    outcome = ring_put(engine->ring, info->id, key, picture->record, length, clock_ms());
    explicit_bzero(picture->record, length);
    engine->base_id = outcome == RING_OK ? info->id : 0;
    engine->cost.bytes = length + RING_OVERHEAD;
    return outcome;
}

static int keep_somehow(struct engine *engine, struct frame_info *info)
{
    ring_expire(engine->ring, clock_ms());
    bool key = engine->base_id == 0 || ring_wants_key(engine->ring, clock_ms());
    int outcome = keep(engine, info, key);
    if (outcome == RING_NEEDS_KEY)
        outcome = keep(engine, info, true);
    /* Larger than the whole ring: there is no frame then, and the next one tries anew. */
    return outcome == RING_TOO_LARGE ? ENGINE_OK : outcome;
}

/* While capture waits for replies the X server works for it: that time is charged as if all of it
 * were processor time. */
static void charge_wait(struct engine *engine, uint64_t start_us)
{
    uint64_t waited = clock_us(CLOCK_MONOTONIC) - start_us;
    budget_charge(&engine->cpu, waited < WAITED_MAX_US ? waited : WAITED_MAX_US, clock_ms());
}

static int make_frame(struct engine *engine)
{
    struct frame_info info = {.trigger = engine->pending.kind,
                              .trigger_detail = engine->pending.detail,
                              .merged = engine->pending_merged,
                              .time_ms = clock_unix_ms(),
                              .id = ++engine->last_id};
    engine->cost = (struct engine_cost){0};
    uint64_t start = clock_us(CLOCK_MONOTONIC);
    int outcome = look_steadily(engine, &info);
    charge_wait(engine, start);
    uint64_t cpu = clock_us(CLOCK_THREAD_CPUTIME_ID);
    if (outcome == ENGINE_OK)
        outcome = keep_somehow(engine, &info);
    explicit_bzero(info.title, sizeof(info.title));
    engine->cost.total_us = clock_us(CLOCK_MONOTONIC) - engine->pending_us;
    engine->pending.kind = 0;
    budget_charge(&engine->cpu, clock_us(CLOCK_THREAD_CPUTIME_ID) - cpu, clock_ms());
    budget_charge(&engine->bytes, engine->cost.bytes, clock_ms());
    return outcome == GIVEN_UP ? ENGINE_OK : outcome;
}

static uint64_t budget_wait(const struct engine *engine, uint64_t now_ms)
{
    struct budget cpu = engine->cpu, bytes = engine->bytes;
    uint64_t one = budget_wait_ms(&cpu, now_ms), other = budget_wait_ms(&bytes, now_ms);
    return one > other ? one : other;
}

static uint64_t until(uint64_t deadline_ms, uint64_t now_ms)
{
    return deadline_ms > now_ms ? deadline_ms - now_ms : 0;
}

/* In how many ms the windows are looked at again; UINT64_MAX: not before one is mapped. */
static uint64_t scan_wait(const struct engine *engine, uint64_t now_ms)
{
    if (!engine->scan_due || engine->deny.count == 0)
        return UINT64_MAX;
    uint64_t wait = budget_wait(engine, now_ms);
    uint64_t pause = until(engine->scanned_ms + SCAN_EVERY_MS, now_ms);
    return wait > pause ? wait : pause;
}

/* Learns where denied windows are now, before the next frame needs to know where they were. */
static int follow_windows(struct engine *engine)
{
    if (scan_wait(engine, clock_ms()) > 0)
        return ENGINE_OK;
    uint64_t start = clock_us(CLOCK_MONOTONIC);
    engine->scan_due = false;
    int outcome = scan(engine, engine->before);
    charge_wait(engine, start);
    return outcome == X11_OK ? ENGINE_OK : ENGINE_LOST;
}

static void do_timers(struct engine *engine)
{
    uint64_t now = clock_ms();
    if (engine->resume_ms != 0 && now >= engine->resume_ms)
        engine_pause(engine, 0);
    if (ring_records(engine->ring) == 0)
        return;
    ring_expire(engine->ring, now);
    /* The last picture is as old as its record. */
    if (ring_records(engine->ring) == 0) {
        picture_forget(engine->picture);
        engine->base_id = 0;
    }
}

static int step(struct engine *engine)
{
    int outcome = take_events(engine);
    if (outcome != ENGINE_OK)
        return outcome;
    do_timers(engine);
    outcome = follow_windows(engine);
    if (outcome != ENGINE_OK)
        return outcome;
    if (engine->pending.kind != 0 && budget_wait(engine, clock_ms()) == 0)
        outcome = make_frame(engine);
    /* Replies may have brought events along. */
    return outcome == ENGINE_OK ? take_events(engine) : outcome;
}

int engine_run(struct engine *engine)
{
    int outcome = step(engine);
    if (outcome != ENGINE_OK)
        engine_forget(engine);
    return outcome;
}

int engine_timeout_ms(const struct engine *engine)
{
    uint64_t now = clock_ms(), wait = UINT64_MAX, one;
    if (engine->resume_ms != 0)
        wait = until(engine->resume_ms, now);
    if (ring_records(engine->ring) > 0 && (one = until(ring_expires_ms(engine->ring), now)) < wait)
        wait = one;
    if (engine->pending.kind != 0 && (one = budget_wait(engine, now)) < wait)
        wait = one;
    if ((one = scan_wait(engine, now)) < wait)
        wait = one;
    return wait == UINT64_MAX ? -1 : wait > INT_MAX ? INT_MAX : (int)wait;
}

void engine_pause(struct engine *engine, uint32_t seconds)
{
    engine->resume_ms = seconds > 0 ? clock_ms() + (uint64_t)seconds * 1000 : 0;
    engine->resume_unix_ms = seconds > 0 ? clock_unix_ms() + (uint64_t)seconds * 1000 : 0;
    engine->pending.kind = 0;
}

void engine_session(struct engine *engine, bool active)
{
    if (!active)
        engine_forget(engine);
    engine->session_active = active;
}

struct ring *engine_ring(struct engine *engine)
{
    return engine->ring;
}

uint8_t *engine_scratch(struct engine *engine, size_t *capacity)
{
    *capacity = engine->picture->record_capacity;
    return engine->picture->record;
}

void engine_status(const struct engine *engine, struct engine_status *out)
{
    *out = (struct engine_status){.frames = ring_records(engine->ring),
                                  .bytes = ring_bytes(engine->ring),
                                  .paused_until_ms = engine->resume_unix_ms,
                                  .merged = engine->merged,
                                  .forgotten = engine->forgotten,
                                  .suspended = suspended(engine)};
}

uint32_t engine_scans(const struct engine *engine)
{
    return engine->scans;
}

const struct engine_cost *engine_cost(const struct engine *engine)
{
    return &engine->cost;
}

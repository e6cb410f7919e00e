/*
 * Capture's work: a trigger comes in, the desktop is read, what must not be seen is blanked, what
 * changed is packed, encrypted and kept.
 *
 * Everything happens in engine_run, which never waits for anything but the X server's replies; the
 * caller waits on x11_fd and on its channel, for at most engine_timeout_ms. Triggers that come
 * faster than the budgets of processor time and bytes allow are merged into the next frame and
 * counted.
 *
 * No frame is taken while paused, while the screen saver is on, or while the session is not in
 * front. What was kept is forgotten when the screen saver begins or the session leaves the front; a
 * pause keeps it.
 *
 * Belongs to one thread.
 */
#ifndef CLOISTER_CAPTURE_ENGINE_H
#define CLOISTER_CAPTURE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "pattern.h"
#include "picture.h"
#include "ring.h"
#include "x11.h"

struct engine;

struct engine_config {
    struct ring_limits limits;
    uint32_t cpu_percent; /* of one core, the X server's share included */
    bool session_active;
    struct pattern_list deny;
};

enum engine_outcome {
    ENGINE_OK = 0,
    ENGINE_LOST = 1,     /* the X server is gone; every frame has been forgotten */
    ENGINE_TOO_LARGE = 2 /* a desktop that cannot be captured; likewise */
};

struct engine_status {
    uint32_t frames;
    uint64_t bytes;           /* of ciphertext */
    uint64_t paused_until_ms; /* unix time; 0: not paused */
    uint32_t merged;          /* triggers that made no frame of their own, so far */
    uint64_t forgotten;       /* how often everything was forgotten */
    bool suspended;           /* screen saver, or the session is not in front */
};

/* What the last frame took, for the benchmark; microseconds. */
struct engine_cost {
    uint64_t grab_us;  /* request and reply of the bare grab */
    uint64_t total_us; /* from the trigger's event to the frame in the ring */
    uint64_t bytes;    /* kept, encrypted */
};

/*
 * Makes an engine with all the locked memory that it will ever need, the picture's apart: before
 * the worker's lock. Returns 0 or -errno.
 */
int engine_new(struct engine **out);

/*
 * Begins on a connection and its picture, both borrowed for as long as the engine lives; called
 * once more, it forgets everything and begins anew. Returns ENGINE_OK or -ENOMEM.
 */
int engine_begin(struct engine *engine, const struct engine_config *config, struct x11 *x11,
                 struct picture *picture);

/* Forgets every frame and frees the engine; accepts NULL, returns NULL. */
struct engine *engine_free(struct engine *engine);

/* Does all that is due: events, a frame, expiry. Returns ENGINE_OK, ENGINE_LOST, ENGINE_TOO_LARGE
 * or -errno. */
int engine_run(struct engine *engine);

/* When engine_run is due again without an event: ms from now, -1 for never. */
int engine_timeout_ms(const struct engine *engine);

/* Pauses for so many seconds; 0 resumes. */
void engine_pause(struct engine *engine, uint32_t seconds);

/* The session came to the front, or left it (locked, switched away, logged out). */
void engine_session(struct engine *engine, bool active);

/* Forgets all frames, and the picture that the next one would have been compared with. */
void engine_forget(struct engine *engine);

struct ring *engine_ring(struct engine *engine);

/* Locked memory of `capacity` bytes, as large as any record, for use until the next engine_run; who
 * uses it wipes it. */
uint8_t *engine_scratch(struct engine *engine, size_t *capacity);
void engine_status(const struct engine *engine, struct engine_status *out);

/* How often the windows were looked at for the deny list, so far; for the tests. */
uint32_t engine_scans(const struct engine *engine);
const struct engine_cost *engine_cost(const struct engine *engine);

#endif

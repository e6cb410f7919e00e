/*
 * For the tests: an engine on a display, driven until a condition holds, and its frames unpacked as
 * a ticket program would. Functions fail the cmocka test that calls them.
 */
#ifndef CLOISTER_CAPTURE_TEST_ENGINE_H
#define CLOISTER_CAPTURE_TEST_ENGINE_H

#include "canvas.h"
#include "engine.h"
#include "test_display.h"

/* button1 to button3, Return, F1 to F12: the configuration's bits. */
#define TEST_TRIGGERS UINT64_C(0x3ffe07)

struct test_engine {
    struct test_display display;
    struct picture *picture;
    struct x11 *x11;
    struct engine *engine;
    struct engine_config config;
    struct frame_canvas *canvas;
};

/* What test_engine_start takes unless the test changes it before: 60 s, 100 frames, 64 MiB, 100 %
 * of a core, no deny list. */
struct engine_config test_engine_config(void);

/* Starts an engine on the display of `test`, which runs. */
void test_engine_start(struct test_engine *test, const struct engine_config *config);

/* Frees the engine and stops the display. */
void test_engine_stop(struct test_engine *test);

/* Runs the engine until the ring has `frames` records. */
void test_engine_frames(struct test_engine *test, uint32_t frames);

/* Runs the engine for as long as events come in within `quiet_ms`; returns what engine_run did. */
int test_engine_settle(struct test_engine *test, int quiet_ms);

/* Rebuilds the frame `id` on test->canvas from the ring. */
struct frame_info test_engine_frame(struct test_engine *test, uint64_t id);

/* The newest frame's id, 0 if there is none. */
uint64_t test_engine_newest(struct test_engine *test);

/* The colour of a pixel on the canvas. */
uint32_t test_engine_pixel(const struct test_engine *test, unsigned x, unsigned y);

/* Whether any pixel on the canvas has this colour. */
int test_engine_has_colour(const struct test_engine *test, uint32_t colour);

/* Fails unless the canvas equals the screen as GetImage sees it. */
void test_engine_equals_screen(struct test_engine *test);

#endif

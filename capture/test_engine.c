#include "test_engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define WAIT_MS 20000U

struct engine_config test_engine_config(void)
{
    return (struct engine_config){
        .limits = {60000, 64U << 20, 100}, .cpu_percent = 100, .session_active = true};
}

void test_engine_start(struct test_engine *test, const struct engine_config *config)
{
    char why[128] = "";
    int fd = x11_dial(test->display.path);
    assert_true(fd >= 0);
    test->config = *config;
    assert_int_equal(picture_new(&test->picture), 0);
    int outcome = x11_start(&test->x11, fd, NULL, test->picture, TEST_TRIGGERS,
                            config->deny.count > 0, why, sizeof(why));
    if (outcome != X11_OK)
        fail_msg("x11_start: %d, %s", outcome, why);
    assert_int_equal(engine_new(&test->engine), 0);
    assert_int_equal(engine_begin(test->engine, config, test->x11, test->picture), ENGINE_OK);
    assert_int_equal(frame_canvas_new(&test->canvas), 0);
    assert_int_equal(test_engine_settle(test, 0), ENGINE_OK);
}

void test_engine_stop(struct test_engine *test)
{
    test->engine = engine_free(test->engine);
    test->x11 = x11_free(test->x11);
    test->picture = picture_free(test->picture);
    test->canvas = frame_canvas_free(test->canvas);
    test_display_stop(&test->display);
}

/* One wait and one run. Returns whether anything was there; the outcome in `outcome`. */
static int run_once(struct test_engine *test, int most_ms, int *outcome)
{
    struct pollfd ready = {.fd = x11_fd(test->x11), .events = POLLIN};
    int wait = engine_timeout_ms(test->engine);
    if (wait < 0 || wait > most_ms)
        wait = most_ms;
    int any = poll(&ready, 1, wait) > 0;
    *outcome = engine_run(test->engine);
    return any;
}

void test_engine_frames(struct test_engine *test, uint32_t frames)
{
    uint64_t deadline = clock_ms() + WAIT_MS;
    int outcome = ENGINE_OK;
    while (ring_records(engine_ring(test->engine)) != frames) {
        if (clock_ms() >= deadline)
            fail_msg("%u frames instead of %u", ring_records(engine_ring(test->engine)), frames);
        run_once(test, 100, &outcome);
        assert_int_equal(outcome, ENGINE_OK);
    }
}

int test_engine_settle(struct test_engine *test, int quiet_ms)
{
    int outcome = ENGINE_OK;
    while (run_once(test, quiet_ms, &outcome) && outcome == ENGINE_OK)
        ;
    return outcome;
}

uint64_t test_engine_newest(struct test_engine *test)
{
    uint64_t newest = 0, next;
    size_t length;
    while ((next = ring_next(engine_ring(test->engine), newest, &length)) != 0)
        newest = next;
    return newest;
}

struct frame_info test_engine_frame(struct test_engine *test, uint64_t id)
{
    struct frame_info info;
    uint64_t at = 0;
    size_t length = 0, got = 0;
    memset(&info, 0, sizeof(info));
    while (at != id) {
        at = ring_next(engine_ring(test->engine), at, &length);
        assert_int_not_equal(at, 0);
        uint8_t *record = malloc(length);
        assert_int_equal(ring_get(engine_ring(test->engine), at, record, length, &got), RING_OK);
        assert_int_equal(frame_canvas_apply(test->canvas, record, got, &info), FRAME_OK);
        free(record);
    }
    assert_int_equal(info.id, id);
    return info;
}

uint32_t test_engine_pixel(const struct test_engine *test, unsigned x, unsigned y)
{
    const uint8_t *p = test->canvas->pixels + ((size_t)y * test->canvas->width + x) * 4;
    return (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

int test_engine_has_colour(const struct test_engine *test, uint32_t colour)
{
    for (unsigned y = 0; y < test->canvas->height; y++)
        for (unsigned x = 0; x < test->canvas->width; x++)
            if (test_engine_pixel(test, x, y) == colour)
                return 1;
    return 0;
}

void test_engine_equals_screen(struct test_engine *test)
{
    uint16_t width = test->canvas->width, height = test->canvas->height;
    uint8_t *image = test_display_image(&test->display, width, height);
    for (size_t i = 0; i < (size_t)width * height; i++)
        if (memcmp(image + i * 4, test->canvas->pixels + i * 4, 3) != 0)
            fail_msg("pixel %zu, %zu differs", i % width, i / width);
    free(image);
}

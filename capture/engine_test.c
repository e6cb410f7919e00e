#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "test_engine.h"

static struct test_engine test;

static int set_up(void **state)
{
    (void)state;
    memset(&test, 0, sizeof(test));
    test_display_xvfb(&test.display, 800, 600);
    struct engine_config config = test_engine_config();
    test_engine_start(&test, &config);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_engine_stop(&test);
    return 0;
}

/* Sends input and expects exactly one frame for it, of this trigger. */
static void one_frame(const char *command, enum frame_trigger kind, unsigned detail)
{
    uint32_t before = ring_records(engine_ring(test.engine));
    test_display_run(&test.display, command);
    test_engine_frames(&test, before + 1);
    struct frame_info info = test_engine_frame(&test, test_engine_newest(&test));
    assert_int_equal(info.trigger, kind);
    assert_int_equal(info.trigger_detail, detail);
    assert_int_equal(info.merged, 0);
    int64_t age = (int64_t)(clock_unix_ms() - info.time_ms);
    assert_in_range(age + 1000, 0, 21000);
}

static void each_trigger_makes_a_frame_of_its_kind(void **state)
{
    (void)state;
    one_frame("xdotool click 1", FRAME_TRIGGER_BUTTON, 1);
    one_frame("xdotool click 3", FRAME_TRIGGER_BUTTON, 3);
    one_frame("xdotool key Return", FRAME_TRIGGER_RETURN, 0);
    one_frame("xdotool key KP_Enter", FRAME_TRIGGER_KEYPAD_ENTER, 0);
    one_frame("xdotool key F1", FRAME_TRIGGER_FUNCTION, 1);
    one_frame("xdotool key ctrl+F12", FRAME_TRIGGER_FUNCTION, 12);
}

static void typing_makes_no_frame(void **state)
{
    (void)state;
    test_display_spawn(&test.display, "xterm -geometry 80x24+10+10 -e cat");
    test_display_run(&test.display, "xdotool search --sync --onlyvisible --class xterm");
    test_display_run(&test.display, "xdotool type --delay 2 TheQuickBrownFoxJumps0ver13LazyDogs!?");
    test_display_run(&test.display, "xdotool key Tab Escape BackSpace space Up Delete ctrl+a");
    /* The mouse wheel and a button that is not in the set. */
    test_display_run(&test.display, "xdotool click 4 click 5 click 8 mousemove 300 300");
    one_frame("xdotool key F2", FRAME_TRIGGER_FUNCTION, 2);
    assert_int_equal(ring_records(engine_ring(test.engine)), 1);
}

static void a_key_is_what_the_mapping_says(void **state)
{
    (void)state;
    one_frame("xdotool key Return", FRAME_TRIGGER_RETURN, 0);
    /* Key 36 is Return and key 38 is "a" on the keyboard that Xvfb has. */
    char script[] = "/tmp/cloister-xmodmap-XXXXXX";
    int fd = mkstemp(script);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    fputs("keycode 36 = b B\nkeycode 38 = Return\nkeycode 24 = q F13\n", file);
    fclose(file);
    char command[64];
    snprintf(command, sizeof(command), "xmodmap %s", script);
    test_display_run(&test.display, command);
    remove(script);
    assert_int_equal(test_engine_settle(&test, 300), ENGINE_OK);
    test_display_run(&test.display, "xdotool key 36 key 24 key shift+24");
    one_frame("xdotool key 38", FRAME_TRIGGER_RETURN, 0);
    assert_int_equal(ring_records(engine_ring(test.engine)), 2);
}

static void frames_equal_the_screen(void **state)
{
    (void)state;
    for (int i = 0; i < 25; i++) {
        struct test_window window = {.x = (int16_t)(i * 23),
                                     .y = (int16_t)(i * 17),
                                     .width = (uint16_t)(40 + i * 5),
                                     .height = (uint16_t)(30 + i * 3),
                                     .colour = (uint32_t)(i * 7654321) & 0xffffff,
                                     .override_redirect = 1};
        test_display_window(&test.display, &window);
        one_frame("xdotool click 1", FRAME_TRIGGER_BUTTON, 1);
        test_engine_equals_screen(&test);
    }
    assert_int_equal(ring_records(engine_ring(test.engine)), 25);
}

static void the_title_stands_in_the_record(void **state)
{
    (void)state;
    struct test_window window = {.width = 50,
                                 .height = 50,
                                 .title = "Quarterly \x1b[2Jr\xe9sum\xe9",
                                 .override_redirect = 1};
    xcb_window_t id = test_display_window(&test.display, &window);
    one_frame("xdotool click 1", FRAME_TRIGGER_BUTTON, 1);
    struct frame_info info = test_engine_frame(&test, test_engine_newest(&test));
    assert_int_equal(info.title_length, 0);
    test_display_activate(&test.display, id);
    one_frame("xdotool click 1", FRAME_TRIGGER_BUTTON, 1);
    info = test_engine_frame(&test, test_engine_newest(&test));
    assert_string_equal(info.title, "Quarterly \xef\xbf\xbd[2Jr\xc3\xa9sum\xc3\xa9");
    assert_int_equal(info.flags, 0);
    xcb_destroy_window(test.display.painter, id);
    test_display_sync(&test.display);
    one_frame("xdotool click 1", FRAME_TRIGGER_BUTTON, 1);
}

static void a_pause_takes_nothing_and_ends(void **state)
{
    (void)state;
    struct engine_status status;
    one_frame("xdotool key F1", FRAME_TRIGGER_FUNCTION, 1);
    engine_pause(test.engine, 900);
    test_display_run(&test.display, "xdotool key F1 click 1");
    assert_int_equal(test_engine_settle(&test, 300), ENGINE_OK);
    engine_status(test.engine, &status);
    assert_int_equal(status.frames, 1);
    assert_in_range(status.paused_until_ms, clock_unix_ms() + 880000, clock_unix_ms() + 900000);
    engine_pause(test.engine, 0);
    one_frame("xdotool key F1", FRAME_TRIGGER_FUNCTION, 1);
    engine_pause(test.engine, 1);
    uint64_t start = clock_ms();
    do {
        assert_int_equal(test_engine_settle(&test, 50), ENGINE_OK);
        engine_status(test.engine, &status);
    } while (status.paused_until_ms != 0 && clock_ms() - start < 20000);
    assert_true(clock_ms() - start >= 999);
    one_frame("xdotool key F1", FRAME_TRIGGER_FUNCTION, 1);
}

static void a_session_that_leaves_is_forgotten(void **state)
{
    (void)state;
    one_frame("xdotool key F1", FRAME_TRIGGER_FUNCTION, 1);
    engine_session(test.engine, false);
    assert_int_equal(ring_records(engine_ring(test.engine)), 0);
    test_display_run(&test.display, "xdotool key F1");
    assert_int_equal(test_engine_settle(&test, 300), ENGINE_OK);
    assert_int_equal(ring_records(engine_ring(test.engine)), 0);
    engine_session(test.engine, true);
    one_frame("xdotool key F1", FRAME_TRIGGER_FUNCTION, 1);
}

static void the_screen_saver_makes_it_forget(void **state)
{
    (void)state;
    struct engine_status status;
    one_frame("xdotool key F1", FRAME_TRIGGER_FUNCTION, 1);
    test_display_run(&test.display, "xset s activate");
    test_engine_frames(&test, 0);
    engine_status(test.engine, &status);
    assert_true(status.suspended);
    assert_int_equal(status.forgotten, 1);
    test_display_run(&test.display, "xset s reset");
    do
        assert_int_equal(test_engine_settle(&test, 50), ENGINE_OK);
    while (engine_status(test.engine, &status), status.suspended);
    one_frame("xdotool key F1", FRAME_TRIGGER_FUNCTION, 1);
}

/* Fills the screen with what does not compress, over and over, as a video does. */
static void play(void)
{
    static uint32_t noise[800 * 40];
    static xcb_window_t window;
    static xcb_gcontext_t gc;
    xcb_connection_t *c = test.display.painter;
    if (gc == 0 || c == NULL) {
        struct test_window whole = {.width = 800, .height = 600, .override_redirect = 1};
        window = test_display_window(&test.display, &whole);
        c = test.display.painter;
        gc = xcb_generate_id(c);
        xcb_create_gc(c, gc, window, 0, NULL);
    }
    for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++)
        noise[i] = (uint32_t)rand() * 2654435761U & 0xffffff;
    for (int16_t y = 0; y < 600; y += 40)
        xcb_put_image(c, XCB_IMAGE_FORMAT_Z_PIXMAP, window, gc, 800, 40, 0, y, 0, 24, sizeof(noise),
                      (const uint8_t *)noise);
    test_display_sync(&test.display);
}

/* Many triggers over a video: they are merged and counted, none is lost, and no bound is broken. */
static void a_video_breaks_no_bound(void **state)
{
    (void)state;
    struct engine_config config = test_engine_config();
    struct engine_status status;
    config.limits = (struct ring_limits){60000, 16U << 20, 100};
    config.cpu_percent = 2;
    assert_int_equal(engine_begin(test.engine, &config, test.x11, test.picture), ENGINE_OK);
    uint64_t used = 0;
    for (int i = 0; i < 16; i++) {
        play();
        test_display_run(&test.display, "xdotool click 1 click 1 click 1");
        uint64_t before = clock_us(CLOCK_THREAD_CPUTIME_ID);
        assert_int_equal(test_engine_settle(&test, 10), ENGINE_OK);
        used += clock_us(CLOCK_THREAD_CPUTIME_ID) - before;
        engine_status(test.engine, &status);
        assert_true(status.bytes <= config.limits.max_bytes);
    }
    /* Half of the ring's bytes in advance are 4 pictures of 1.9 MB; then one in 7 s. */
    assert_in_range(status.frames, 3, 20);
    assert_true(status.merged >= 48 - 20 - 2);
    uint64_t merged = 0, frames = 0, id = 0;
    size_t length;
    while ((id = ring_next(engine_ring(test.engine), id, &length)) != 0) {
        merged += test_engine_frame(&test, id).merged;
        frames++;
    }
    assert_true(merged <= status.merged);
    assert_true(merged + frames <= 48);
    /* 10 s of 2 % in advance, and what it took to notice the triggers. */
    assert_true(used < 1000000);
}

static void a_lost_server_is_noticed_and_all_forgotten(void **state)
{
    (void)state;
    one_frame("xdotool key F1", FRAME_TRIGGER_FUNCTION, 1);
    kill(test.display.server, SIGKILL);
    assert_int_equal(test_engine_settle(&test, 20000), ENGINE_LOST);
    assert_int_equal(ring_records(engine_ring(test.engine)), 0);
    assert_int_equal(test.picture->bytes, 0);
}

int main(void)
{
#define ON_XVFB(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ON_XVFB(each_trigger_makes_a_frame_of_its_kind),
        ON_XVFB(typing_makes_no_frame),
        ON_XVFB(a_key_is_what_the_mapping_says),
        ON_XVFB(frames_equal_the_screen),
        ON_XVFB(the_title_stands_in_the_record),
        ON_XVFB(a_pause_takes_nothing_and_ends),
        ON_XVFB(a_session_that_leaves_is_forgotten),
        ON_XVFB(the_screen_saver_makes_it_forget),
        ON_XVFB(a_video_breaks_no_bound),
        ON_XVFB(a_lost_server_is_noticed_and_all_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

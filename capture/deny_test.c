#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "deny.h"
#include "test_engine.h"

/* Colours that nothing else on the screen has. */
#define SECRET 0x12ab34U
#define POPUP  0x56cd78U
#define PUBLIC 0x9aef01U

static struct test_engine test;

static int set_up(void **state)
{
    (void)state;
    memset(&test, 0, sizeof(test));
    test_display_xvfb(&test.display, 800, 600);
    struct engine_config config = test_engine_config();
    config.deny = (struct pattern_list){.count = 1, .patterns = {"Vault*"}};
    test_engine_start(&test, &config);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_engine_stop(&test);
    return 0;
}

static struct frame_info next_frame(void)
{
    uint32_t before = ring_records(engine_ring(test.engine));
    test_display_run(&test.display, "xdotool key F1");
    test_engine_frames(&test, before + 1);
    return test_engine_frame(&test, test_engine_newest(&test));
}

static struct test_window a_window(uint32_t colour, const char *wm_class)
{
    return (struct test_window){.x = 100,
                                .y = 80,
                                .width = 200,
                                .height = 150,
                                .colour = colour,
                                .wm_class = wm_class,
                                .title = wm_class};
}

static void unmap(xcb_window_t window)
{
    xcb_unmap_window(test.display.painter, window);
    test_display_sync(&test.display);
}

/* The positive control: without the right class the colour is in the frame. */
static void what_is_not_denied_is_seen(void **state)
{
    (void)state;
    struct test_window window = a_window(SECRET, "Valut");
    test_display_activate(&test.display, test_display_window(&test.display, &window));
    struct frame_info info = next_frame();
    assert_true(test_engine_has_colour(&test, SECRET));
    assert_int_equal(info.flags, 0);
    assert_string_equal(info.title, "Valut");
    test_engine_equals_screen(&test);
}

static void a_denied_window_is_blanked_and_nothing_else(void **state)
{
    (void)state;
    struct test_window beside = a_window(PUBLIC, "Editor");
    struct test_window window = a_window(SECRET, "vaultkeeper");
    beside.x = 90;
    beside.width = 300;
    test_display_window(&test.display, &beside);
    xcb_window_t id = test_display_window(&test.display, &window);
    assert_int_equal(test_display_pixel(&test.display, 150, 100), SECRET);
    struct frame_info info = next_frame();
    assert_false(test_engine_has_colour(&test, SECRET));
    assert_int_equal(info.flags, FRAME_BLANKED);
    assert_int_equal(test_engine_pixel(&test, 150, 100), 0);
    assert_int_equal(test_engine_pixel(&test, 99, 100), PUBLIC);
    assert_int_equal(test_engine_pixel(&test, 300, 100), PUBLIC);
    /* It moved: blank there, and for a moment where it was. */
    uint32_t place[] = {400, 300};
    xcb_configure_window(test.display.painter, id, XCB_CONFIG_WINDOW_X | XCB_CONFIG_WINDOW_Y,
                         place);
    test_display_sync(&test.display);
    next_frame();
    assert_false(test_engine_has_colour(&test, SECRET));
    assert_int_equal(test_engine_pixel(&test, 450, 350), 0);
}

static void titles_of_denied_windows_are_withheld(void **state)
{
    (void)state;
    struct test_window window = a_window(SECRET, "vaultkeeper");
    struct test_window other = a_window(PUBLIC, "Editor");
    xcb_window_t secret = test_display_window(&test.display, &window);
    other.x = 500;
    xcb_window_t editor = test_display_window(&test.display, &other);
    test_display_activate(&test.display, secret);
    struct frame_info info = next_frame();
    assert_int_equal(info.flags, FRAME_BLANKED | FRAME_TITLE_WITHHELD);
    assert_int_equal(info.title_length, 0);
    test_display_activate(&test.display, editor);
    info = next_frame();
    assert_int_equal(info.flags, FRAME_BLANKED);
    assert_string_equal(info.title, "Editor");
    /* A window that does not exist, or is not mapped: nobody knows what it is. */
    unmap(editor);
    info = next_frame();
    assert_true((info.flags & FRAME_TITLE_WITHHELD) != 0);
    assert_int_equal(info.title_length, 0);
}

static void what_belongs_to_a_denied_window_is_denied(void **state)
{
    (void)state;
    struct test_window window = a_window(SECRET, "vaultkeeper");
    xcb_window_t main_window = test_display_window(&test.display, &window);
    struct test_window dialog = a_window(POPUP, "Dialog");
    dialog.x = 500;
    dialog.transient_for = main_window;
    xcb_window_t id = test_display_window(&test.display, &dialog);
    next_frame();
    assert_false(test_engine_has_colour(&test, POPUP));
    /* Its parent is hidden, and a dialog of the dialog comes. */
    unmap(main_window);
    struct test_window second = a_window(PUBLIC, NULL);
    second.y = 300;
    second.transient_for = id;
    test_display_activate(&test.display, test_display_window(&test.display, &second));
    struct frame_info info = next_frame();
    assert_false(test_engine_has_colour(&test, POPUP));
    assert_false(test_engine_has_colour(&test, PUBLIC));
    assert_true((info.flags & FRAME_TITLE_WITHHELD) != 0);
}

static void menus_of_a_denied_client_are_denied(void **state)
{
    (void)state;
    struct test_window menu = a_window(POPUP, NULL);
    menu.x = 500;
    menu.override_redirect = 1;
    test_display_window(&test.display, &menu);
    next_frame();
    assert_true(test_engine_has_colour(&test, POPUP));
    struct test_window window = a_window(SECRET, "vaultkeeper");
    test_display_window(&test.display, &window);
    next_frame();
    assert_false(test_engine_has_colour(&test, POPUP));
    assert_false(test_engine_has_colour(&test, SECRET));
}

/* A frame that a window manager would draw, title and all, and a window deep inside another. */
static void the_frame_around_a_denied_window_is_denied(void **state)
{
    (void)state;
    struct test_window frame = a_window(POPUP, NULL), middle = a_window(PUBLIC, "Tabs");
    frame.width = 400;
    frame.height = 300;
    middle.x = middle.y = 20;
    middle.width = 300;
    middle.parent = test_display_window(&test.display, &frame);
    struct test_window inner = a_window(SECRET, "vault");
    inner.x = inner.y = 30;
    inner.parent = test_display_window(&test.display, &middle);
    next_frame();
    assert_true(test_engine_has_colour(&test, POPUP));
    test_display_window(&test.display, &inner);
    next_frame();
    assert_false(test_engine_has_colour(&test, SECRET));
    assert_false(test_engine_has_colour(&test, PUBLIC));
    assert_false(test_engine_has_colour(&test, POPUP));
}

/* A compositor may show a window for a while after it is gone; here the root shows nothing, so the
 * place alone is looked at. */
static void the_place_stays_blank_for_a_moment(void **state)
{
    (void)state;
    struct test_window below = a_window(PUBLIC, "Editor");
    test_display_window(&test.display, &below);
    struct test_window window = a_window(SECRET, "vaultkeeper");
    xcb_window_t id = test_display_window(&test.display, &window);
    assert_int_equal(test_engine_settle(&test, 100), ENGINE_OK);
    unmap(id);
    uint64_t left = clock_ms();
    assert_int_equal(test_display_pixel(&test.display, 150, 100), PUBLIC);
    next_frame();
    if (clock_ms() - left < DENY_LINGER_MS)
        assert_int_equal(test_engine_pixel(&test, 150, 100), 0);
    while (clock_ms() - left <= DENY_LINGER_MS + 50)
        test_engine_settle(&test, 20);
    next_frame();
    assert_int_equal(test_engine_pixel(&test, 150, 100), PUBLIC);
}

static struct deny_track track;
static struct blank_list blank;

static void say(uint8_t type, xcb_window_t window, int16_t x, uint64_t now_ms)
{
    union {
        xcb_generic_event_t any;
        xcb_create_notify_event_t create;
        xcb_configure_notify_event_t configure;
        xcb_map_notify_event_t map;
        xcb_unmap_notify_event_t unmap;
    } event = {.any = {.response_type = type}};
    if (type == XCB_CREATE_NOTIFY)
        event.create = (xcb_create_notify_event_t){
            .response_type = type, .window = window, .x = x, .y = 20, .width = 30, .height = 40};
    else if (type == XCB_CONFIGURE_NOTIFY)
        event.configure = (xcb_configure_notify_event_t){
            .response_type = type, .window = window, .x = x, .y = 20, .width = 30, .height = 40};
    else if (type == XCB_MAP_NOTIFY)
        event.map.window = window;
    else
        event.unmap.window = window;
    assert_int_equal(deny_track_event(&track, &event.any, now_ms), type == XCB_MAP_NOTIFY);
}

static void look_at_blank(uint64_t now_ms)
{
    memset(&blank, 0, sizeof(blank));
    deny_track_blank(&track, &blank, now_ms);
}

/* Between two scans a window comes and goes: nobody knows whether it was denied. */
static void what_was_not_looked_at_is_blanked(void **state)
{
    (void)state;
    memset(&track, 0, sizeof(track));
    say(XCB_CREATE_NOTIFY, 7, 10, 1000);
    say(XCB_MAP_NOTIFY, 7, 0, 1000);
    say(XCB_CONFIGURE_NOTIFY, 7, 200, 1010);
    say(XCB_UNMAP_NOTIFY, 7, 0, 1020);
    look_at_blank(1030);
    assert_false(blank.everything);
    assert_int_equal(blank.count, 2);
    assert_int_equal(blank.rectangles[0].x, 10);
    assert_int_equal(blank.rectangles[1].x, 200);
    assert_int_equal(blank.rectangles[1].height, 40);
    look_at_blank(1020 + DENY_LINGER_MS);
    assert_int_equal(blank.count, 0);
    for (unsigned i = 0; i < 2 * DENY_TRACKED_MAX; i++) {
        say(XCB_MAP_NOTIFY, 7, 0, 2500);
        say(XCB_UNMAP_NOTIFY, 7, 0, 2500);
    }
    look_at_blank(2510);
    assert_false(blank.everything);
    assert_int_equal(blank.count, 1);
    /* It was there before capture was: where, is not known. */
    say(XCB_MAP_NOTIFY, 8, 0, 3000);
    look_at_blank(3000);
    assert_false(blank.everything);
    say(XCB_UNMAP_NOTIFY, 8, 0, 3010);
    look_at_blank(3020);
    assert_true(blank.everything);
    look_at_blank(3010 + DENY_LINGER_MS);
    assert_false(blank.everything);
    /* More than can be remembered. */
    for (xcb_window_t window = 100; window <= 100 + DENY_UNKNOWN_MAX; window++)
        say(XCB_MAP_NOTIFY, window, 0, 5000);
    say(XCB_UNMAP_NOTIFY, 100 + DENY_UNKNOWN_MAX, 0, 5010);
    look_at_blank(5020);
    assert_true(blank.everything);
}

/* What a scan has seen is not blanked when it goes, unless it is denied. */
static void what_was_looked_at_is_known(void **state)
{
    (void)state;
    struct pattern_list patterns = {.count = 1, .patterns = {"Vault*"}};
    struct test_window window = a_window(PUBLIC, "Editor");
    struct deny_scan *scan;
    memset(&track, 0, sizeof(track));
    xcb_window_t id = test_display_window(&test.display, &window);
    say(XCB_MAP_NOTIFY, id, 0, 1000);
    say(XCB_MAP_NOTIFY, id + 100000, 0, 1000); /* has gone, which is told later */
    assert_int_equal(deny_scan_new(&scan), 0);
    assert_int_equal(deny_scan_read(scan, test.x11, &patterns), X11_OK);
    deny_track_scan(&track, scan, 1010);
    deny_scan_free(scan);
    say(XCB_UNMAP_NOTIFY, id, 0, 1020);
    look_at_blank(1030);
    assert_false(blank.everything);
    assert_int_equal(blank.count, 0);
    say(XCB_UNMAP_NOTIFY, id + 100000, 0, 1040);
    look_at_blank(1050);
    assert_true(blank.everything);
}

/* However often windows are mapped, the tree is not read more than five times a second. */
static void maps_without_end_share_scans(void **state)
{
    (void)state;
    struct test_window window = a_window(PUBLIC, "Editor");
    xcb_window_t id = test_display_window(&test.display, &window);
    uint64_t begun = clock_ms();
    uint32_t before = engine_scans(test.engine);
    while (clock_ms() - begun < 1000) {
        unmap(id);
        xcb_map_window(test.display.painter, id);
        test_display_sync(&test.display);
        assert_int_equal(engine_run(test.engine), ENGINE_OK);
    }
    uint64_t took = clock_ms() - begun;
    assert_in_range(engine_scans(test.engine) - before, 1, took / 200 + 1);
}

static void too_many_windows_deny_everything(void **state)
{
    (void)state;
    struct test_window window = a_window(PUBLIC, "Many");
    window.parent = test_display_window(&test.display, &window);
    for (int i = 0; i < 4200; i++) {
        xcb_window_t id = xcb_generate_id(test.display.painter);
        xcb_create_window(test.display.painter, XCB_COPY_FROM_PARENT, id, window.parent, 0, 0, 1, 1,
                          0, XCB_WINDOW_CLASS_INPUT_OUTPUT, XCB_COPY_FROM_PARENT, 0, NULL);
        xcb_map_window(test.display.painter, id);
    }
    test_display_sync(&test.display);
    next_frame();
    for (unsigned y = 0; y < 600; y += 7)
        for (unsigned x = 0; x < 800; x += 7)
            assert_int_equal(test_engine_pixel(&test, x, y), 0);
}

/* With a real window manager and a real program. */
static void works_under_a_window_manager(void **state)
{
    (void)state;
    test_display_spawn(&test.display, "openbox");
    test_display_spawn(&test.display,
                       "xterm -class VaultTerm -T sesame -bg #12ab34 -geometry 40x10+200+150");
    test_display_run(&test.display, "xdotool search --sync --class VaultTerm");
    uint64_t deadline = clock_ms() + 20000;
    while (test_display_pixel(&test.display, 260, 220) != SECRET && clock_ms() < deadline) {
        /* What is mapped while openbox starts may be lost: ask again. */
        test_display_run(&test.display, "xdotool search --class VaultTerm windowmap");
        test_engine_settle(&test, 200);
    }
    assert_int_equal(test_display_pixel(&test.display, 260, 220), SECRET);
    test_display_run(&test.display, "xdotool search --class VaultTerm windowfocus");
    struct frame_info info = next_frame();
    assert_false(test_engine_has_colour(&test, SECRET));
    assert_int_equal(info.flags, FRAME_BLANKED | FRAME_TITLE_WITHHELD);
    /* The title bar that openbox draws above it, too. */
    assert_int_equal(test_engine_pixel(&test, 260, 155), 0);
}

int main(void)
{
#define ON_XVFB(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ON_XVFB(what_is_not_denied_is_seen),
        ON_XVFB(a_denied_window_is_blanked_and_nothing_else),
        ON_XVFB(titles_of_denied_windows_are_withheld),
        ON_XVFB(what_belongs_to_a_denied_window_is_denied),
        ON_XVFB(menus_of_a_denied_client_are_denied),
        ON_XVFB(the_frame_around_a_denied_window_is_denied),
        ON_XVFB(the_place_stays_blank_for_a_moment),
        cmocka_unit_test(what_was_not_looked_at_is_blanked),
        ON_XVFB(what_was_looked_at_is_known),
        ON_XVFB(maps_without_end_share_scans),
        ON_XVFB(too_many_windows_deny_everything),
        ON_XVFB(works_under_a_window_manager),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

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
        ON_XVFB(too_many_windows_deny_everything),
        ON_XVFB(works_under_a_window_manager),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

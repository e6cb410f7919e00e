#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "test_engine.h"

static struct test_engine test;

static int tear_down(void **state)
{
    (void)state;
    test_engine_stop(&test);
    return 0;
}

static void start(const char *const *argv)
{
    struct engine_config config = test_engine_config();
    memset(&test, 0, sizeof(test));
    test_display_start(&test.display, argv);
    test_engine_start(&test, &config);
}

static struct frame_info next_frame(void)
{
    uint32_t before = ring_records(engine_ring(test.engine));
    test_display_run(&test.display, "xdotool key F1");
    test_engine_frames(&test, before + 1);
    return test_engine_frame(&test, test_engine_newest(&test));
}

#define TIGERVNC "Xtigervnc", "-SecurityTypes", "None", "-rfbport", "-1", "-nolisten", "tcp"

static void paint_corner(int16_t x, int16_t y, uint32_t colour)
{
    struct test_window window = {
        .x = x, .y = y, .width = 20, .height = 20, .colour = colour, .override_redirect = 1};
    test_display_window(&test.display, &window);
}

static void a_new_size_makes_a_key_frame(void **state)
{
    (void)state;
    const char *argv[] = {TIGERVNC, "-geometry", "800x600", NULL};
    start(argv);
    struct frame_info info = next_frame();
    assert_int_equal(info.kind, FRAME_KEY);
    info = next_frame();
    assert_int_equal(info.kind, FRAME_DELTA);
    test_display_run(&test.display, "xrandr --output VNC-0 --mode 1280x800");
    paint_corner(1260, 780, 0x123456);
    info = next_frame();
    assert_int_equal(info.kind, FRAME_KEY);
    assert_int_equal(info.width, 1280);
    assert_int_equal(info.height, 800);
    assert_int_equal(info.monitor_count, 1);
    assert_int_equal(info.monitors[0].width, 1280);
    assert_int_equal(test_engine_pixel(&test, 1265, 785), 0x123456);
    test_engine_equals_screen(&test);
    test_display_run(&test.display, "xrandr --output VNC-0 --mode 640x480");
    info = next_frame();
    assert_int_equal(info.width, 640);
    assert_int_equal(info.kind, FRAME_KEY);
    test_engine_equals_screen(&test);
    /* The ring holds frames of three sizes, and each can still be rebuilt. */
    info = test_engine_frame(&test, 2);
    assert_int_equal(info.width, 800);
    info = test_engine_frame(&test, 4);
    assert_int_equal(info.width, 640);
}

/* The size changes again and again under a stream of triggers. */
static void a_resize_under_the_grab_is_survived(void **state)
{
    (void)state;
    const char *argv[] = {TIGERVNC, "-geometry", "800x600", NULL};
    start(argv);
    for (int i = 0; i < 6; i++) {
        test_display_run(&test.display, i % 2 == 0 ? "xrandr --output VNC-0 --mode 1024x768"
                                                   : "xrandr --output VNC-0 --mode 640x480");
        test_display_run(&test.display, "xdotool click 1 key F2 click 3");
        assert_int_equal(test_engine_settle(&test, 100), ENGINE_OK);
    }
    struct frame_info info = next_frame();
    assert_int_equal(info.width, 640);
    test_engine_equals_screen(&test);
}

static void all_monitors_are_in_the_frame(void **state)
{
    (void)state;
    const char *argv[] = {TIGERVNC, "-geometry", "1440x600", NULL};
    start(argv);
    /* Two monitors over the one output that the server has. */
    test_display_run(&test.display, "xrandr --setmonitor left 800/200x600/150+0+0 VNC-0");
    test_display_run(&test.display, "xrandr --setmonitor right 640/160x480/120+800+120 none");
    paint_corner(10, 10, 0xaa0000);
    paint_corner(1400, 590, 0x00aa00);
    struct frame_info info = next_frame();
    assert_int_equal(info.width, 1440);
    assert_int_equal(info.height, 600);
    assert_int_equal(info.monitor_count, 2);
    unsigned left = info.monitors[0].width == 800 ? 0 : 1;
    const struct frame_monitor *one = &info.monitors[left], *other = &info.monitors[1 - left];
    assert_int_equal(one->x, 0);
    assert_int_equal(one->height, 600);
    assert_int_equal(other->x, 800);
    assert_int_equal(other->y, 120);
    assert_int_equal(other->width, 640);
    assert_int_equal(other->height, 480);
    assert_int_equal(test_engine_pixel(&test, 15, 15), 0xaa0000);
    assert_int_equal(test_engine_pixel(&test, 1405, 595), 0x00aa00);
    test_engine_equals_screen(&test);
}

/* Reading the server without the engine: what x11_start says of servers that cannot be captured. */
static int outcome_of_start(const struct xauth_cookie *cookie, char *why, size_t capacity)
{
    struct picture *picture = NULL;
    struct x11 *x11 = NULL;
    assert_int_equal(picture_new(&picture), 0);
    int fd = x11_dial(test.display.path);
    assert_true(fd >= 0);
    int outcome = x11_start(&x11, fd, cookie, picture, TEST_TRIGGERS, false, why, capacity);
    x11_free(x11);
    picture_free(picture);
    return outcome;
}

static void other_depths_are_refused(void **state)
{
    (void)state;
    char why[128];
    const char *argv[] = {"Xvfb", "-screen", "0", "640x480x16", "-nolisten", "tcp", NULL};
    memset(&test, 0, sizeof(test));
    test_display_start(&test.display, argv);
    assert_int_equal(outcome_of_start(NULL, why, sizeof(why)), X11_VISUAL);
    assert_non_null(strstr(why, "24 bits"));
}

static void a_server_without_shared_memory_is_refused(void **state)
{
    (void)state;
    char why[128];
    const char *argv[] = {"Xvfb", "-screen",    "0",       "640x480x24", "-nolisten",
                          "tcp",  "-extension", "MIT-SHM", NULL};
    memset(&test, 0, sizeof(test));
    test_display_start(&test.display, argv);
    assert_int_equal(outcome_of_start(NULL, why, sizeof(why)), X11_MISSING);
    assert_non_null(strstr(why, "MIT-SHM"));
}

static void the_cookie_opens_the_door(void **state)
{
    (void)state;
    char path[] = "/tmp/cloister-auth-XXXXXX", command[256], why[128];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    snprintf(command, sizeof(command),
             "xauth -q -f %s add box/unix:0 . 000102030405060708090a0b0c0d0e0f", path);
    assert_int_equal(system(command), 0);
    const char *argv[] = {"Xvfb", "-screen", "0",  "640x480x24", "-nolisten",
                          "tcp",  "-auth",   path, NULL};
    memset(&test, 0, sizeof(test));
    test_display_start(&test.display, argv);
    uint8_t file[4096];
    close(fd);
    FILE *stream = fopen(path, "r");
    size_t length = fread(file, 1, sizeof(file), stream);
    fclose(stream);
    struct xauth_cookie cookie;
    assert_int_equal(xauth_find(&cookie, file, length, "", "0"), XAUTH_OK);
    assert_int_equal(outcome_of_start(NULL, why, sizeof(why)), X11_REFUSED);
    assert_int_equal(outcome_of_start(&cookie, why, sizeof(why)), X11_OK);
    cookie.bytes[0] ^= 1;
    assert_int_equal(outcome_of_start(&cookie, why, sizeof(why)), X11_REFUSED);
    remove(path);
}

/* The number of the display that weston says it listens on, once it does. */
static int weston_display(const char *log)
{
    const char *says = "xserver listening on display :";
    for (int waited = 0; waited < 20000; waited += 20) {
        char line[512];
        FILE *file = fopen(log, "r");
        while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
            const char *at = strstr(line, says);
            if (at != NULL) {
                fclose(file);
                return atoi(at + strlen(says));
            }
        }
        if (file != NULL)
            fclose(file);
        poll(NULL, 0, 20);
    }
    fail_msg("weston does not start Xwayland");
    return -1;
}

static void xwayland_is_told_from_x11(void **state)
{
    (void)state;
    memset(&test, 0, sizeof(test));
    if (access("/usr/bin/weston", X_OK) != 0 || access("/usr/bin/Xwayland", X_OK) != 0)
        skip();
    char folder[] = "/tmp/cloister-weston-XXXXXX", log[64], command[256], why[128];
    assert_non_null(mkdtemp(folder));
    snprintf(log, sizeof(log), "%s/log", folder);
    setenv("XDG_RUNTIME_DIR", folder, 1);
    snprintf(command, sizeof(command),
             "weston --backend=headless-backend.so --xwayland --no-config --idle-time=0 --log=%s",
             log);
    test_display_spawn(&test.display, command);
    snprintf(test.display.path, sizeof(test.display.path), "/tmp/.X11-unix/X%d",
             weston_display(log));
    int outcome = outcome_of_start(NULL, why, sizeof(why));
    test_display_stop(&test.display);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(outcome, X11_WAYLAND);
    assert_string_equal(why, "Wayland");
}

static void a_server_that_is_not_there_is_said_so(void **state)
{
    (void)state;
    memset(&test, 0, sizeof(test));
    assert_true(x11_dial("/tmp/.X11-unix/X987654") < 0);
    char path[300];
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_true(x11_dial(path) < 0);
}

int main(void)
{
#define ON(f) cmocka_unit_test_teardown(f, tear_down)
    const struct CMUnitTest tests[] = {
        ON(a_new_size_makes_a_key_frame),
        ON(a_resize_under_the_grab_is_survived),
        ON(all_monitors_are_in_the_frame),
        ON(other_depths_are_refused),
        ON(a_server_without_shared_memory_is_refused),
        ON(the_cookie_opens_the_door),
        ON(xwayland_is_told_from_x11),
        ON(a_server_that_is_not_there_is_said_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

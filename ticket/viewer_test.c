/* The viewer on a real X server (Xvfb), driven by xdotool, and the preview in characters. */
#include "viewer.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xcb/xcb.h>
#include <cmocka.h>

#include "display.h"
#include "peer.h"
#include "preview.h"

static pid_t server;

static struct viewer_event wait_event(struct viewer *viewer)
{
    for (;;) {
        struct viewer_event event = viewer_next(viewer);
        struct pollfd wait = {.fd = viewer_fd(viewer), .events = POLLIN};
        if (event.kind != VIEWER_NOTHING)
            return event;
        assert_int_equal(poll(&wait, 1, 10000), 1);
    }
}

/* Red, with a green quarter at the bottom right. */
static struct picture *coloured(uint32_t width, uint32_t height)
{
    struct picture *picture;
    assert_int_equal(picture_new(&picture, width, height), 0);
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++)
            picture->pixels[(size_t)y * width + x] =
                x >= width / 2 && y >= height / 2 ? 0xff00ff00 : 0xffff0000;
    return picture;
}

/* The pixel that the X server shows. */
static uint32_t on_screen(int x, int y)
{
    xcb_connection_t *other = xcb_connect(NULL, NULL);
    xcb_window_t root = xcb_setup_roots_iterator(xcb_get_setup(other)).data->root;
    xcb_get_image_reply_t *reply = xcb_get_image_reply(
        other,
        xcb_get_image(other, XCB_IMAGE_FORMAT_Z_PIXMAP, root, (int16_t)x, (int16_t)y, 1, 1, ~0U),
        NULL);
    assert_non_null(reply);
    uint32_t pixel;
    memcpy(&pixel, xcb_get_image_data(reply), 4);
    free(reply);
    xcb_disconnect(other);
    return pixel & 0xffffff;
}

/* Lets the viewer answer the server until the pixel is there. */
static void wait_pixel(struct viewer *viewer, int x, int y, uint32_t want)
{
    for (int i = 0; i < 200 && on_screen(x, y) != want; i++) {
        struct pollfd wait = {.fd = viewer_fd(viewer), .events = POLLIN};
        poll(&wait, 1, 50);
        assert_int_equal(viewer_next(viewer).kind, VIEWER_NOTHING);
    }
    assert_int_equal(on_screen(x, y), want);
}

static int connected(void)
{
    static struct display display;
    int fd;
    assert_int_equal(display_find(&display, getenv("DISPLAY")), 0);
    assert_int_equal(display_dial(&display, DISPLAY_FOLDER, &fd), 0);
    return fd;
}

/* The window is 800x640 at the corner; a picture of 1600x1200 fits as 800x600, 20 down. */
static struct viewer *showing(void)
{
    struct viewer *viewer;
    assert_int_equal(viewer_new(&viewer, connected(), NULL), 0);
    assert_int_equal(viewer_show(viewer, coloured(1600, 1200), "Frame 1"), 0);
    wait_pixel(viewer, 100, 100, 0xff0000);
    return viewer;
}

static void shows_the_picture_scaled(void **state)
{
    (void)state;
    struct viewer *viewer = showing();
    wait_pixel(viewer, 5, 5, 0x000000);
    wait_pixel(viewer, 5, 25, 0xff0000);
    wait_pixel(viewer, 795, 615, 0x00ff00);
    wait_pixel(viewer, 795, 635, 0x000000);
    peer_run("xdotool search --name 'Frame 1' >found && test $(wc -l <found) = 1");
    viewer_hide(viewer);
    wait_pixel(viewer, 100, 100, 0x000000);
    /* Shown again, larger than the window and then smaller. */
    assert_int_equal(viewer_show(viewer, coloured(20, 10), "Frame 2"), 0);
    wait_pixel(viewer, 10, 320, 0xff0000);
    wait_pixel(viewer, 790, 515, 0x00ff00);
    viewer_free(viewer);
}

static void keys_mean_what_they_say(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        enum viewer_event_kind kind;
    } keys[] = {
        {"Right", VIEWER_NEXT},    {"space", VIEWER_NEXT}, {"n", VIEWER_NEXT},
        {"Left", VIEWER_BACK},     {"p", VIEWER_BACK},     {"BackSpace", VIEWER_BACK},
        {"d", VIEWER_DROP},        {"u", VIEWER_UNDO},     {"q", VIEWER_CLOSED},
        {"Escape", VIEWER_CLOSED},
    };
    struct viewer *viewer = showing();
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        peer_run("xdotool mousemove 400 300 key x key %s", keys[i].key);
        assert_int_equal(wait_event(viewer).kind, keys[i].kind);
    }
    viewer_free(viewer);
}

static void a_drag_is_a_rectangle_of_the_picture(void **state)
{
    (void)state;
    struct viewer *viewer = showing();
    /* A click alone is none. */
    peer_run("xdotool mousemove 300 300 click 1 mousemove 100 120 mousedown 1 mousemove 150 160 "
             "mousemove 200 220 mouseup 1");
    struct viewer_event event = wait_event(viewer);
    assert_int_equal(event.kind, VIEWER_REDACT);
    /* 100..200 by 100..200 of the scaled picture, both ends included, at twice the size. */
    assert_int_equal(event.area.x, 200);
    assert_int_equal(event.area.y, 200);
    assert_in_range(event.area.width, 202, 203);
    assert_in_range(event.area.height, 202, 203);
    /* Backwards, and out of the picture: cut off at its edges. */
    peer_run("xdotool mousemove 780 600 mousedown 1 mousemove 700 610 mousemove 0 0 mouseup 1");
    event = wait_event(viewer);
    assert_int_equal(event.kind, VIEWER_REDACT);
    assert_int_equal(event.area.x, 0);
    assert_int_equal(event.area.y, 0);
    assert_in_range(event.area.width, 1562, 1563);
    assert_in_range(event.area.height, 1162, 1163);
    viewer_free(viewer);
}

static void a_lost_server_is_noticed(void **state)
{
    (void)state;
    struct viewer *viewer = showing();
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    assert_int_equal(wait_event(viewer).kind, VIEWER_LOST);
    viewer_free(viewer);
    server = peer_display();
}

static void preview_fits_its_cells(void **state)
{
    (void)state;
    struct picture *picture = coloured(200, 100);
    struct locked_bytes text = {0};
    assert_int_equal(preview_draw(&text, picture, 20, 50), 0);
    assert_int_equal(locked_bytes_append(&text, "", 1), 0);
    size_t lines = 0, cells = 0;
    for (const char *at = (char *)text.data; *at; at++) {
        lines += *at == '\n';
        cells += strncmp(at, "\xe2\x96\x80", 3) == 0;
    }
    assert_int_equal(lines, 5);
    assert_int_equal(cells, 100);
    assert_non_null(strstr((char *)text.data, "\x1b[38;2;255;0;0m\x1b[48;2;255;0;0m"));
    assert_non_null(strstr((char *)text.data, "\x1b[38;2;0;255;0m\x1b[48;2;0;255;0m"));
    locked_bytes_clear(&text);
    assert_int_equal(preview_draw(&text, picture, 1, 1), 0);
    locked_bytes_clear(&text);
    picture_free(picture);
}

static int enter(void **state)
{
    peer_enter(state);
    server = peer_display();
    return 0;
}

static int leave(void **state)
{
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    return peer_leave(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_the_picture_scaled),
        cmocka_unit_test(keys_mean_what_they_say),
        cmocka_unit_test(a_drag_is_a_rectangle_of_the_picture),
        cmocka_unit_test(a_lost_server_is_noticed),
        cmocka_unit_test(preview_fits_its_cells),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}

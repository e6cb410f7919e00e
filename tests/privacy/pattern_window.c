/*
 * A window that shows given pixels: what the privacy tests look for in memory and files.
 *
 * usage: pattern_window WIDTH HEIGHT < PIXELS
 *
 * PIXELS are WIDTH * HEIGHT times B, G, R and a byte of padding. The window lies at 0,0 without a
 * frame of the window manager's, prints "ready" once its pixels are on the screen, and stays until
 * it is killed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <xcb/xcb.h>

enum { STRIP_ROWS = 16 };

static void die(const char *words)
{
    fprintf(stderr, "pattern_window: %s\n", words);
    exit(1);
}

static xcb_window_t make_window(xcb_connection_t *x, xcb_screen_t *screen, uint16_t width,
                                uint16_t height)
{
    xcb_window_t window = xcb_generate_id(x);
    const uint32_t values[] = {screen->black_pixel, 1, XCB_EVENT_MASK_EXPOSURE};
    xcb_create_window(x, XCB_COPY_FROM_PARENT, window, screen->root, 0, 0, width, height, 0,
                      XCB_WINDOW_CLASS_INPUT_OUTPUT, screen->root_visual,
                      XCB_CW_BACK_PIXEL | XCB_CW_OVERRIDE_REDIRECT | XCB_CW_EVENT_MASK, values);
    xcb_map_window(x, window);
    return window;
}

/* In strips: a whole picture is more than one request may carry. */
static void draw(xcb_connection_t *x, xcb_window_t window, xcb_gcontext_t gc, uint16_t width,
                 uint16_t height, const uint8_t *pixels)
{
    for (uint16_t y = 0; y < height; y += STRIP_ROWS) {
        uint16_t rows = (uint16_t)(height - y < STRIP_ROWS ? height - y : STRIP_ROWS);
        uint32_t bytes = (uint32_t)width * rows * 4;
        xcb_put_image(x, XCB_IMAGE_FORMAT_Z_PIXMAP, window, gc, width, rows, 0, (int16_t)y, 0, 24,
                      bytes, pixels + (size_t)y * width * 4);
    }
    /* The answer comes when everything before it has been drawn. */
    free(xcb_get_input_focus_reply(x, xcb_get_input_focus(x), NULL));
}

int main(int argc, char **argv)
{
    int width = argc == 3 ? atoi(argv[1]) : 0, height = argc == 3 ? atoi(argv[2]) : 0;
    if (width < 1 || width > 4096 || height < 1 || height > 4096)
        die("usage: pattern_window WIDTH HEIGHT < PIXELS");
    size_t size = (size_t)width * (size_t)height * 4;
    uint8_t *pixels = malloc(size);
    if (!pixels || fread(pixels, 1, size, stdin) != size)
        die("too few pixels");
    xcb_connection_t *x = xcb_connect(NULL, NULL);
    if (xcb_connection_has_error(x))
        die("no display");
    xcb_screen_t *screen = xcb_setup_roots_iterator(xcb_get_setup(x)).data;
    if (screen->root_depth != 24)
        die("the screen is not 24 bits deep");
    xcb_window_t window = make_window(x, screen, (uint16_t)width, (uint16_t)height);
    xcb_gcontext_t gc = xcb_generate_id(x);
    xcb_create_gc(x, gc, window, 0, NULL);
    xcb_flush(x);
    int told = 0;
    for (xcb_generic_event_t *event; (event = xcb_wait_for_event(x)); free(event)) {
        if ((event->response_type & 0x7f) != XCB_EXPOSE)
            continue;
        draw(x, window, gc, (uint16_t)width, (uint16_t)height, pixels);
        if (!told++) {
            puts("ready");
            fflush(stdout);
        }
    }
    return 0;
}

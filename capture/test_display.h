/*
 * For the tests: a real X server of their own, programs on it, and a client that paints windows.
 * Functions fail the cmocka test that calls them when something does not work.
 */
#ifndef CLOISTER_CAPTURE_TEST_DISPLAY_H
#define CLOISTER_CAPTURE_TEST_DISPLAY_H

#include <stdint.h>
#include <sys/types.h>
#include <xcb/xcb.h>

struct test_display {
    pid_t server;
    int number;
    char name[16]; /* ":7" */
    char path[64]; /* of the server's socket */
    pid_t programs[8];
    unsigned program_count;
    xcb_connection_t *painter;
    const xcb_screen_t *screen;
};

/* Starts `argv` ("Xvfb", "-screen", ...; NULL at the end) on a free display number and waits until
 * it serves. */
void test_display_start(struct test_display *display, const char *const *argv);

/* Xvfb with one screen. */
void test_display_xvfb(struct test_display *display, unsigned width, unsigned height);

/* Ends the server and every program that was started on it. */
void test_display_stop(struct test_display *display);

/* Runs a program with arguments separated by spaces, and waits until it has ended well. */
void test_display_run(struct test_display *display, const char *command);

/* Starts one that goes on running; test_display_stop ends it. */
void test_display_spawn(struct test_display *display, const char *command);

/* What test_display_window makes. */
struct test_window {
    int16_t x, y;
    uint16_t width, height;
    uint32_t colour;      /* 0xrrggbb */
    const char *wm_class; /* instance and class alike; NULL: none */
    const char *title;
    int override_redirect;
    xcb_window_t transient_for;
    xcb_window_t parent; /* 0: the root */
};

/* Makes and maps a window and waits until its colour is on the screen. */
xcb_window_t test_display_window(struct test_display *display, const struct test_window *window);

/* Names the active window, as a window manager does. */
void test_display_activate(struct test_display *display, xcb_window_t window);

/* Waits until the server has done all that was asked of it through the painter. */
void test_display_sync(struct test_display *display);

/* The colour of one pixel, by a plain GetImage. */
uint32_t test_display_pixel(struct test_display *display, int16_t x, int16_t y);

/* The whole screen by a plain GetImage, width * height * 4 bytes, to be freed. */
uint8_t *test_display_image(struct test_display *display, uint16_t width, uint16_t height);

#endif

/*
 * A video in full screen, as bad as it gets: noise that nothing packs, FPS times a second.
 *
 *     noise_player FPS
 *
 * plays on $DISPLAY until it is ended.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <xcb/xcb.h>

#define ROWS 8

struct player {
    xcb_connection_t *x;
    const xcb_screen_t *screen;
    xcb_window_t window;
    xcb_gcontext_t gc;
    uint32_t *noise; /* a picture and a row more */
};

static void fill(struct player *player)
{
    uint64_t state = 88172645463325252U; /* xorshift64, Marsaglia 2003 */
    size_t pixels =
        (size_t)player->screen->width_in_pixels * (player->screen->height_in_pixels + 1U);
    player->noise = malloc(pixels * sizeof(uint32_t));
    if (player->noise == NULL)
        abort();
    for (size_t i = 0; i < pixels; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        player->noise[i] = (uint32_t)state & 0xffffff;
    }
}

static void open_window(struct player *player)
{
    uint32_t values[] = {1};
    player->screen = xcb_setup_roots_iterator(xcb_get_setup(player->x)).data;
    player->window = xcb_generate_id(player->x);
    player->gc = xcb_generate_id(player->x);
    xcb_create_window(player->x, XCB_COPY_FROM_PARENT, player->window, player->screen->root, 0, 0,
                      player->screen->width_in_pixels, player->screen->height_in_pixels, 0,
                      XCB_WINDOW_CLASS_INPUT_OUTPUT, player->screen->root_visual,
                      XCB_CW_OVERRIDE_REDIRECT, values);
    xcb_map_window(player->x, player->window);
    xcb_create_gc(player->x, player->gc, player->window, 0, NULL);
}

/* The same noise from another place each time: every pixel changes. */
static void draw(struct player *player, unsigned offset)
{
    unsigned width = player->screen->width_in_pixels, height = player->screen->height_in_pixels;
    for (unsigned y = 0; y < height; y += ROWS) {
        unsigned rows = height - y < ROWS ? height - y : ROWS;
        const uint32_t *from = player->noise + (size_t)y * width + offset % width;
        xcb_put_image(player->x, XCB_IMAGE_FORMAT_Z_PIXMAP, player->window, player->gc,
                      (uint16_t)width, (uint16_t)rows, 0, (int16_t)y, 0, player->screen->root_depth,
                      width * rows * 4, (const uint8_t *)from);
    }
    free(xcb_get_input_focus_reply(player->x, xcb_get_input_focus(player->x), NULL));
}

int main(int argc, char **argv)
{
    unsigned fps = argc == 2 ? (unsigned)atoi(argv[1]) : 0;
    struct player player = {.x = xcb_connect(NULL, NULL)};
    if (fps < 1 || fps > 1000 || xcb_connection_has_error(player.x)) {
        fprintf(stderr, "usage: noise_player FPS, with a DISPLAY\n");
        return 2;
    }
    open_window(&player);
    fill(&player);
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (unsigned i = 0; !xcb_connection_has_error(player.x); i++) {
        draw(&player, i * 7);
        next.tv_nsec += 1000000000L / (long)fps;
        if (next.tv_nsec >= 1000000000L) {
            next.tv_nsec -= 1000000000L;
            next.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    return 1;
}

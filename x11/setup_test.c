#include "setup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A setup with one screen of one depth with one visual, as an X server sends it. */
struct sample {
    xcb_setup_t setup;
    char vendor[8]; /* five, padded */
    xcb_format_t format;
    xcb_screen_t screen;
    xcb_depth_t depth;
    xcb_visualtype_t visual;
};

static struct sample sample(void)
{
    return (struct sample){
        .setup = {.status = 1,
                  .protocol_major_version = 11,
                  .length = (sizeof(struct sample) - 8) / 4,
                  .resource_id_mask = 0x1fffff,
                  .vendor_len = 5,
                  .roots_len = 1,
                  .pixmap_formats_len = 1,
                  .min_keycode = 8,
                  .max_keycode = 255},
        .format = {.depth = 24, .bits_per_pixel = 32, .scanline_pad = 32},
        .screen = {.root = 1, .root_visual = 33, .root_depth = 24, .allowed_depths_len = 1},
        .depth = {.depth = 24, .visuals_len = 1},
        .visual = {.visual_id = 33,
                   ._class = XCB_VISUAL_CLASS_TRUE_COLOR,
                   .red_mask = 0xff0000,
                   .green_mask = 0xff00,
                   .blue_mask = 0xff},
    };
}

/* In memory of its own, so that a sanitizer sees the first byte behind it. */
static bool whole(const void *bytes, size_t length)
{
    void *copy = malloc(length ? length : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, length);
    bool result = setup_is_whole(copy, length);
    free(copy);
    return result;
}

static void a_servers_setup_is_whole(void **state)
{
    (void)state;
    struct sample good = sample();
    assert_true(whole(&good, sizeof(good)));
    assert_true(setup_of_xcb_is_whole(&good.setup));
    assert_true(setup_has_plain_pixels(&good.setup));
}

static void no_part_of_it_is(void **state)
{
    (void)state;
    for (size_t words = 0; words < sizeof(struct sample) / 4; words++) {
        struct sample cut = sample();
        assert_false(whole(&cut, words * 4)); /* against its own length */
        cut.setup.length = (uint16_t)(words > 2 ? words - 2 : 0);
        assert_false(whole(&cut, words * 4)); /* and in accord with it */
    }
}

#define REFUSED(member, value)                                                                     \
    do {                                                                                           \
        struct sample bad = sample();                                                              \
        bad.member = (value);                                                                      \
        if (whole(&bad, sizeof(bad)))                                                              \
            fail_msg("whole with " #member " " #value);                                            \
    } while (0)

static void no_count_is_taken_at_its_word(void **state)
{
    (void)state;
    REFUSED(setup.status, 0);
    REFUSED(setup.status, 2);
    REFUSED(setup.length, 0);
    REFUSED(setup.length, 65535);
    REFUSED(setup.vendor_len, 65535);
    REFUSED(setup.pixmap_formats_len, 255);
    REFUSED(setup.roots_len, 0);
    REFUSED(setup.roots_len, 2);
    REFUSED(setup.roots_len, 255);
    REFUSED(setup.min_keycode, 7);
    REFUSED(setup.min_keycode, 0);
    REFUSED(setup.max_keycode, 7);
    REFUSED(setup.resource_id_mask, 0);
    REFUSED(screen.allowed_depths_len, 2);
    REFUSED(screen.allowed_depths_len, 255);
    REFUSED(depth.visuals_len, 2);
    REFUSED(depth.visuals_len, 65535);
}

#define NOT_PLAIN(member, value)                                                                   \
    do {                                                                                           \
        struct sample other = sample();                                                            \
        other.member = (value);                                                                    \
        assert_true(setup_is_whole(&other, sizeof(other)));                                        \
        if (setup_has_plain_pixels(&other.setup))                                                  \
            fail_msg("plain with " #member " " #value);                                            \
    } while (0)

static void other_pixels_are_not_plain(void **state)
{
    (void)state;
    NOT_PLAIN(setup.image_byte_order, XCB_IMAGE_ORDER_MSB_FIRST);
    NOT_PLAIN(format.bits_per_pixel, 24);
    NOT_PLAIN(format.scanline_pad, 8);
    NOT_PLAIN(screen.root_depth, 16);
    NOT_PLAIN(screen.root_visual, 34);
    NOT_PLAIN(screen.allowed_depths_len, 0);
    NOT_PLAIN(visual._class, XCB_VISUAL_CLASS_PSEUDO_COLOR);
    NOT_PLAIN(visual.red_mask, 0xff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_servers_setup_is_whole),
        cmocka_unit_test(no_part_of_it_is),
        cmocka_unit_test(no_count_is_taken_at_its_word),
        cmocka_unit_test(other_pixels_are_not_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

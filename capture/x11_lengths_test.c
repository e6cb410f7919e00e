#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "x11_lengths.h"

/* A setup as libxcb hands it over: one screen with two depths, of which the second has two visuals,
 * cut to `words` words beyond the first 8 bytes and allocated as libxcb does. */
#define SETUP_WORDS ((sizeof(xcb_setup_t) - 8 + 8 + 8 + sizeof(xcb_screen_t) + 2 * 8 + 2 * 24) / 4)

struct setup_parts {
    xcb_setup_t setup;
    char vendor[8]; /* of which 5 are used */
    xcb_format_t format;
    xcb_screen_t screen;
    xcb_depth_t depths[2];
    xcb_visualtype_t visuals[2];
};

static xcb_setup_t *a_setup(size_t words, const struct setup_parts *parts)
{
    xcb_setup_t *setup = malloc(8 + words * 4);
    assert_non_null(setup);
    memcpy(setup, parts, 8 + words * 4);
    setup->length = (uint16_t)words;
    return setup;
}

static struct setup_parts good_parts(void)
{
    struct setup_parts parts = {.setup = {.status = 1, .vendor_len = 5, .roots_len = 1}};
    parts.setup.pixmap_formats_len = 1;
    parts.screen.allowed_depths_len = 2;
    parts.depths[1].visuals_len = 2;
    return parts;
}

static bool setup_is_whole(size_t words, const struct setup_parts *parts)
{
    xcb_setup_t *setup = a_setup(words, parts);
    bool whole = words * 4 + 8 >= sizeof(*setup) && x11_setup_is_whole(setup);
    free(setup);
    return whole;
}

static void a_setup_holds_what_it_counts(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct setup_parts), 8 + SETUP_WORDS * 4);
    struct setup_parts parts = good_parts();
    assert_true(setup_is_whole(SETUP_WORDS, &parts));
    for (size_t words = (sizeof(xcb_setup_t) - 8) / 4; words < SETUP_WORDS; words++)
        assert_false(setup_is_whole(words, &parts));
}

static void a_setup_that_counts_more_is_refused(void **state)
{
    (void)state;
    struct setup_parts parts = good_parts();
    parts.depths[1].visuals_len = 3;
    assert_false(setup_is_whole(SETUP_WORDS, &parts));
    parts.depths[1].visuals_len = 65535;
    assert_false(setup_is_whole(SETUP_WORDS, &parts));
    parts = good_parts();
    parts.screen.allowed_depths_len = 255;
    parts.depths[1].visuals_len = 0;
    assert_false(setup_is_whole(SETUP_WORDS, &parts));
    parts = good_parts();
    parts.setup.vendor_len = 65535;
    assert_false(setup_is_whole(SETUP_WORDS, &parts));
    parts = good_parts();
    parts.setup.pixmap_formats_len = 255;
    assert_false(setup_is_whole(SETUP_WORDS, &parts));
    parts = good_parts();
    parts.setup.roots_len = 0;
    assert_false(setup_is_whole(SETUP_WORDS, &parts));
}

static void lists_of_outputs_hold_what_they_count(void **state)
{
    (void)state;
    xcb_randr_get_screen_resources_current_reply_t *reply = calloc(1, sizeof(*reply) + 12);
    reply->length = 3;
    reply->num_crtcs = 1;
    reply->num_outputs = 2;
    assert_true(x11_resources_are_whole(reply));
    reply->num_outputs = 3;
    assert_false(x11_resources_are_whole(reply));
    reply->num_crtcs = reply->num_outputs = 65535;
    assert_false(x11_resources_are_whole(reply));
    free(reply);
}

static void outputs_hold_their_names(void **state)
{
    (void)state;
    xcb_randr_get_output_info_reply_t *reply = calloc(1, 32 + 5 * 4);
    reply->length = 5; /* one that the structure has, 4 bytes of ids and 12 of the name */
    reply->num_crtcs = 1;
    reply->name_len = 12;
    assert_true(x11_output_is_whole(reply));
    reply->name_len = 13;
    assert_false(x11_output_is_whole(reply));
    reply->name_len = 8;
    reply->num_modes = reply->num_clones = 65535;
    assert_false(x11_output_is_whole(reply));
    free(reply);
    reply = calloc(1, 32); /* the name's length itself did not arrive */
    assert_false(x11_output_is_whole(reply));
    free(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_setup_holds_what_it_counts),
        cmocka_unit_test(a_setup_that_counts_more_is_refused),
        cmocka_unit_test(lists_of_outputs_hold_what_they_count),
        cmocka_unit_test(outputs_hold_their_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

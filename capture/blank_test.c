#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "blank.h"

#define WIDTH  20U
#define HEIGHT 10U
#define STRIDE (WIDTH * 4 + 8)

static struct blank_list list;
static uint8_t pixels[HEIGHT * STRIDE];

static bool apply(void)
{
    memset(pixels, 0x77, sizeof(pixels));
    return blank_apply(&list, pixels, WIDTH, HEIGHT, STRIDE);
}

static void is_black(int x, int y, bool black)
{
    for (int i = 0; i < 4; i++)
        assert_int_equal(pixels[(size_t)y * STRIDE + (size_t)x * 4 + (size_t)i], black ? 0 : 0x77);
}

/* Every pixel is black exactly if a rectangle holds it, and nothing beside the picture is touched.
 */
static void check(void)
{
    for (int y = 0; y < (int)HEIGHT; y++) {
        for (int x = 0; x < (int)WIDTH; x++) {
            bool black = list.everything;
            for (size_t i = 0; i < list.count; i++) {
                const struct rectangle *r = &list.rectangles[i];
                black |= x >= r->x && x < (int64_t)r->x + r->width && y >= r->y &&
                         y < (int64_t)r->y + r->height;
            }
            is_black(x, y, black);
        }
        for (size_t i = WIDTH * 4; i < STRIDE; i++)
            assert_int_equal(pixels[(size_t)y * STRIDE + i], 0x77);
    }
}

static void rectangles_are_clipped(void **state)
{
    (void)state;
    static const struct rectangle cases[] = {
        {3, 2, 5, 4},
        {-3, -2, 5, 4},
        {18, 8, 50, 50},
        {0, 0, 20, 10},
        {-5, 3, 1000, 1},
        {INT32_MIN, 0, UINT32_MAX, 10},
        {19, 9, 1, 1},
        {-32768, -32768, 65535, 65535},
        {0, INT32_MIN, 3, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&list, 0, sizeof(list));
        blank_add(&list, cases[i]);
        assert_true(apply());
        check();
    }
}

static void what_lies_outside_blanks_nothing(void **state)
{
    (void)state;
    static const struct rectangle cases[] = {
        {20, 0, 5, 5},
        {0, 10, 5, 5},
        {-5, 0, 5, 5},
        {0, -5, 5, 5},
        {3, 3, 0, 5},
        {3, 3, 5, 0},
        {INT32_MAX, INT32_MAX, UINT32_MAX, UINT32_MAX},
    };
    memset(&list, 0, sizeof(list));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        blank_add(&list, cases[i]);
    assert_false(apply());
    check();
}

static void too_many_blank_everything(void **state)
{
    (void)state;
    memset(&list, 0, sizeof(list));
    for (size_t i = 0; i < BLANK_RECTANGLES_MAX; i++)
        blank_add(&list, (struct rectangle){1, 1, 1, 1});
    assert_false(list.everything);
    blank_add(&list, (struct rectangle){2, 2, 1, 1});
    assert_true(list.everything);
    assert_true(apply());
    check();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rectangles_are_clipped),
        cmocka_unit_test(what_lies_outside_blanks_nothing),
        cmocka_unit_test(too_many_blank_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "trigger.h"

#define SET_BUTTON_1 UINT64_C(1)
#define SET_RETURN   (UINT64_C(1) << 9)
#define SET_F1       (UINT64_C(1) << 10)
#define SET_F24      (UINT64_C(1) << 33)

static struct trigger_keys keys;

static void is(uint32_t keycode, enum frame_trigger kind, unsigned detail)
{
    struct trigger trigger = trigger_key(&keys, keycode);
    assert_int_equal(trigger.kind, kind);
    assert_int_equal(trigger.detail, detail);
}

static void only_the_first_keysym_counts(void **state)
{
    (void)state;
    /* Return, keypad Enter, F1, F24, then letters with F1 and Return on their upper levels. */
    const uint32_t keysyms[] = {0xff0d, 0,   0xff8d, 0,   0xffbe, 0, 0xffd5,
                                0,      'a', 0xffbe, 'b', 0xff0d, 0, 0xff0d};
    trigger_keys_read(&keys, SET_RETURN | SET_F1 | SET_F24, 20, 7, keysyms, 2);
    is(20, FRAME_TRIGGER_RETURN, 0);
    is(21, FRAME_TRIGGER_KEYPAD_ENTER, 0);
    is(22, FRAME_TRIGGER_FUNCTION, 1);
    is(23, FRAME_TRIGGER_FUNCTION, 24);
    for (uint32_t code = 24; code < 300; code++)
        is(code, 0, 0);
    is(19, 0, 0);
    is(UINT32_MAX, 0, 0);
}

static void only_what_is_in_the_set_counts(void **state)
{
    (void)state;
    const uint32_t keysyms[] = {0xff0d, 0xff8d, 0xffbe, 0xffbf, 0xffd5, 0xffd6, 0xffbd};
    trigger_keys_read(&keys, SET_F1, 8, 7, keysyms, 1);
    for (uint32_t code = 0; code < 256; code++)
        is(code, code == 10 ? FRAME_TRIGGER_FUNCTION : 0, code == 10);
    trigger_keys_read(&keys, 0, 8, 7, keysyms, 1);
    for (uint32_t code = 0; code < 256; code++)
        is(code, 0, 0);
    trigger_keys_read(&keys, UINT64_MAX, 8, 7, keysyms, 1);
    is(13, 0, 0); /* past F24 */
    is(14, 0, 0); /* before F1 */
}

static void a_short_or_long_mapping_is_survived(void **state)
{
    (void)state;
    uint32_t keysyms[300];
    for (unsigned i = 0; i < 300; i++)
        keysyms[i] = 0xff0d;
    trigger_keys_read(&keys, SET_RETURN, 8, 300, keysyms, 1);
    is(7, 0, 0);
    is(255, FRAME_TRIGGER_RETURN, 0);
    trigger_keys_read(&keys, SET_RETURN, 8, 248, keysyms, 0);
    is(8, 0, 0);
}

static void buttons_are_the_sets(void **state)
{
    (void)state;
    assert_int_equal(trigger_button(SET_BUTTON_1, 1).kind, FRAME_TRIGGER_BUTTON);
    assert_int_equal(trigger_button(SET_BUTTON_1, 1).detail, 1);
    assert_int_equal(trigger_button(SET_BUTTON_1, 2).kind, 0);
    assert_int_equal(trigger_button(UINT64_MAX, 0).kind, 0);
    assert_int_equal(trigger_button(UINT64_MAX, 9).kind, FRAME_TRIGGER_BUTTON);
    assert_int_equal(trigger_button(UINT64_MAX, 10).kind, 0);
    assert_int_equal(trigger_button(UINT64_MAX, UINT32_MAX).kind, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_first_keysym_counts),
        cmocka_unit_test(only_what_is_in_the_set_counts),
        cmocka_unit_test(a_short_or_long_mapping_is_survived),
        cmocka_unit_test(buttons_are_the_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

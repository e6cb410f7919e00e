#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "title.h"

static size_t clean(char *out, const char *text)
{
    return frame_title_clean(out, (const uint8_t *)text, strlen(text));
}

static void keeps_text_of_all_scripts(void **state)
{
    (void)state;
    char out[FRAME_TITLE_MAX + 1];
    const char *text = "Rechnung \xc3\xa4 \xe2\x82\xac \xf0\x9f\x94\x92 \xd7\xa9\xd7\x9c";
    assert_int_equal(clean(out, text), strlen(text));
    assert_string_equal(out, text);
    assert_true(frame_title_valid((const uint8_t *)text, strlen(text)));
}

static void replaces_what_could_deceive(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x1b",         "\n",           "\x7f",         "\xc2\x9b",     "\xe2\x80\xae",
        "\xe2\x81\xa6", "\xe2\x80\xa8", "\xc0\x80",     "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\xe2\x82",     "\xff",         "\xe0\x80\x80", "\x80",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[16] = "a";
        strcat(text, bad[i]);
        assert_false(frame_title_valid((const uint8_t *)text, strlen(text)));
        char out[FRAME_TITLE_MAX + 1];
        size_t length = clean(out, text);
        assert_memory_equal(out, "a\xef\xbf\xbd", 4);
        assert_true(frame_title_valid((const uint8_t *)out, length));
    }
}

static void cuts_between_characters(void **state)
{
    (void)state;
    char text[4 * FRAME_TITLE_MAX] = "x";
    while (strlen(text) + 3 < sizeof(text))
        strcat(text, "\xe2\x82\xac");
    char out[FRAME_TITLE_MAX + 1];
    size_t length = clean(out, text);
    assert_int_equal(length, FRAME_TITLE_MAX);
    assert_true(frame_title_valid((const uint8_t *)out, length));
    length = frame_title_clean(out, (const uint8_t *)text + 1, sizeof(text) / 2);
    assert_int_equal(length, FRAME_TITLE_MAX - FRAME_TITLE_MAX % 3);
    assert_false(frame_title_valid((const uint8_t *)text, FRAME_TITLE_MAX + 1));
}

static void turns_latin1_into_utf8(void **state)
{
    (void)state;
    char out[FRAME_TITLE_MAX + 1];
    const uint8_t text[] = {'B', 0xfc, 'r', 'o', 0x9b, 0x1b};
    size_t length = frame_title_clean_latin1(out, text, sizeof(text));
    assert_string_equal(out, "B\xc3\xbcro\xef\xbf\xbd\xef\xbf\xbd");
    assert_int_equal(length, strlen(out));
    assert_true(frame_title_valid((const uint8_t *)out, length));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_text_of_all_scripts),
        cmocka_unit_test(replaces_what_could_deceive),
        cmocka_unit_test(cuts_between_characters),
        cmocka_unit_test(turns_latin1_into_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

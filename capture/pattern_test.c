#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "pattern.h"

static bool matches(const char *pattern, const char *text)
{
    return pattern_matches(pattern, text, strlen(text));
}

static void matches_as_it_says(void **state)
{
    (void)state;
    assert_true(matches("KeePassXC", "keepassxc"));
    assert_true(matches("keepass*", "KeePassXC"));
    assert_true(matches("*pass*", "KeePassXC"));
    assert_true(matches("k?epassxc", "keepassxc"));
    assert_true(matches("*", ""));
    assert_true(matches("", ""));
    assert_true(matches("a*b*c", "a-b-b-c-bc"));
    assert_true(matches("**x**", "x"));
    assert_false(matches("keepass", "KeePassXC"));
    assert_false(matches("?", ""));
    assert_false(matches("a*b*c", "a-b-b-c-b"));
    assert_false(matches("", "a"));
    assert_false(matches("*a", "ab"));
    /* Nothing but * and ? is special. */
    assert_true(matches("[a]\\", "[A]\\"));
    assert_false(matches("[a]", "a"));
}

/* With backtracking over all the stars this would take longer than the machine will last. */
static void hostile_text_takes_no_time(void **state)
{
    (void)state;
    char text[4096];
    memset(text, 'a', sizeof(text));
    assert_false(
        pattern_matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text, sizeof(text)));
}

static void either_part_of_the_class_counts(void **state)
{
    (void)state;
    struct pattern_list list = {.count = 2, .patterns = {"vault*", "secret"}};
    assert_true(pattern_list_matches(&list, "vaulted\0Other\0", 14));
    assert_true(pattern_list_matches(&list, "other\0Secret\0", 13));
    assert_true(pattern_list_matches(&list, "other\0Secret", 12));
    assert_false(pattern_list_matches(&list, "other\0Secret", 11));
    assert_false(pattern_list_matches(&list, "a\0b\0", 4));
    assert_false(pattern_list_matches(&list, "", 0));
    list.count = 0;
    assert_false(pattern_list_matches(&list, "secret\0secret\0", 14));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_as_it_says),
        cmocka_unit_test(hostile_text_takes_no_time),
        cmocka_unit_test(either_part_of_the_class_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

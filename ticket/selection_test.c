#include "selection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void lists_and_ranges(void **state)
{
    (void)state;
    bool chosen[8] = {false};
    static const bool want[8] = {false, true, false, false, true, true, true, false};
    assert_int_equal(selection_parse(chosen, 8, "2,5-7"), 0);
    assert_memory_equal(chosen, want, sizeof(want));
    assert_int_equal(selection_parse(chosen, 8, "8,1-1"), 0);
    assert_true(chosen[7] && chosen[0]);
    assert_int_equal(selection_parse(chosen, 8, "all"), 0);
    assert_true(chosen[2]);
}

static void nothing_is_set_by_what_is_wrong(void **state)
{
    (void)state;
    static const char *const forms[] = {"",    ",",    "1,",  "a",   "1-",          "-1",
                                        "1 2", "1--2", "1x1", "+1",  "1,,2",        "all,1",
                                        "ALL", "1;2",  " 1",  "1\n", "12345678901", "1-2-3"};
    static const char *const ranges[] = {"0", "9", "1,9", "7-5", "1-9", "999999999"};
    bool chosen[8] = {false}, none[8] = {false};
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++)
        assert_int_equal(selection_parse(chosen, 8, forms[i]), SELECTION_FORM);
    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
        assert_int_equal(selection_parse(chosen, 8, ranges[i]), SELECTION_RANGE);
    assert_memory_equal(chosen, none, sizeof(none));
    assert_int_equal(selection_parse(chosen, 0, "1"), SELECTION_RANGE);
}

static void rectangles(void **state)
{
    (void)state;
    struct rectangle area;
    size_t index;
    assert_int_equal(selection_rectangle(&area, "10,20,300,40"), 0);
    assert_int_equal(area.x, 10);
    assert_int_equal(area.y, 20);
    assert_int_equal(area.width, 300);
    assert_int_equal(area.height, 40);
    static const char *const bad[] = {"",         "1,2,3",  "1,2,3,4,5",       "1,2,3,4 ",
                                      "-1,2,3,4", "1,,3,4", "1,2,3,1234567890"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(selection_rectangle(&area, bad[i]), SELECTION_FORM);
    assert_int_equal(selection_redaction(&index, &area, 3, "3:1,2,3,4"), 0);
    assert_int_equal(index, 2);
    assert_int_equal(area.height, 4);
    assert_int_equal(selection_redaction(&index, &area, 3, "4:1,2,3,4"), SELECTION_RANGE);
    assert_int_equal(selection_redaction(&index, &area, 3, "0:1,2,3,4"), SELECTION_RANGE);
    assert_int_equal(selection_redaction(&index, &area, 3, "3,1,2,3,4"), SELECTION_FORM);
    assert_int_equal(selection_frame(&index, 3, "1"), 0);
    assert_int_equal(index, 0);
    assert_int_equal(selection_frame(&index, 3, "4"), SELECTION_RANGE);
    assert_int_equal(selection_frame(&index, 3, "1a"), SELECTION_FORM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_and_ranges),
        cmocka_unit_test(nothing_is_set_by_what_is_wrong),
        cmocka_unit_test(rectangles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "hardware.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct hardware_identifier identify(const char *text)
{
    struct hardware_identifier id;
    hardware_identify(&id, HARDWARE_READABLE, text, strlen(text));
    return id;
}

static void same_part_reads_the_same(void **state)
{
    (void)state;
    static const char *const forms[] = {"WD-wx12  A345", "  WD-WX12 A345\n", "wd-wx12\t \ta345   ",
                                        "WD-WX12 A345"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct hardware_identifier id = identify(forms[i]);
        assert_int_equal(id.state, HARDWARE_READABLE);
        assert_string_equal(id.text, "WD-WX12 A345");
        assert_int_equal(id.length, 12);
    }
    assert_string_not_equal(identify("WDWX12A345").text, "WD-WX12 A345");
}

static void fillers_are_no_serial_numbers(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "",
        "   \n",
        "To be filled by O.E.M.",
        "to  be filled by o.e.m.",
        "None",
        "Default string",
        "0",
        "0000000",
        "FFFFFFFF",
        "........",
        "N/A",
        "Not Specified",
        "-",
        "xxxxxx",
        "0123456789",
        "QM00001",
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct hardware_identifier id = identify(forms[i]);
        assert_int_equal(id.state, HARDWARE_PLACEHOLDER);
        assert_int_equal(id.length, 0);
        assert_string_equal(id.text, "");
    }
    assert_int_equal(identify("00000000000000000001").state, HARDWARE_READABLE);
    assert_int_equal(identify("QM00001A").state, HARDWARE_READABLE);
}

static void garbage_is_unreadable(void **state)
{
    (void)state;
    static const char *const forms[] = {"S\x01N123", "\xff\xff\xff", "SN\x7f", "S\xc3\xa4N"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct hardware_identifier id = identify(forms[i]);
        assert_int_equal(id.state, HARDWARE_UNREADABLE);
        assert_string_equal(id.text, "");
    }
    struct hardware_identifier id;
    hardware_identify(&id, HARDWARE_READABLE, "SN\0X1", 5);
    assert_int_equal(id.state, HARDWARE_UNREADABLE);
}

static void length_is_bounded(void **state)
{
    (void)state;
    char text[HARDWARE_TEXT_MAX + 2];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('A' + i % 26);
    struct hardware_identifier id;
    hardware_identify(&id, HARDWARE_READABLE, text, HARDWARE_TEXT_MAX);
    assert_int_equal(id.state, HARDWARE_READABLE);
    assert_int_equal(strlen(id.text), HARDWARE_TEXT_MAX);
    hardware_identify(&id, HARDWARE_READABLE, text, HARDWARE_TEXT_MAX + 1);
    assert_int_equal(id.state, HARDWARE_UNREADABLE);
    text[HARDWARE_TEXT_MAX - 1] = ' ';
    hardware_identify(&id, HARDWARE_READABLE, text, HARDWARE_TEXT_MAX + 1);
    assert_int_equal(id.state, HARDWARE_UNREADABLE);
}

static void what_was_not_found_keeps_no_text(void **state)
{
    (void)state;
    struct hardware_identifier id;
    hardware_identify(&id, HARDWARE_UNREADABLE, "SN123", 5);
    assert_int_equal(id.state, HARDWARE_UNREADABLE);
    assert_string_equal(id.text, "");
    hardware_identify(&id, HARDWARE_ABSENT, NULL, 0);
    assert_int_equal(id.state, HARDWARE_ABSENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_part_reads_the_same),
        cmocka_unit_test(fillers_are_no_serial_numbers),
        cmocka_unit_test(garbage_is_unreadable),
        cmocka_unit_test(length_is_bounded),
        cmocka_unit_test(what_was_not_found_keeps_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

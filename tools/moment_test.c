#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "moment.h"

#define DAY 86400u

static void test_read_span(void **state)
{
    (void)state;
    assert_int_equal(moment_read_span("1s", DAY), 1);
    assert_int_equal(moment_read_span("15m", DAY), 900);
    assert_int_equal(moment_read_span("24h", DAY), DAY);
    assert_int_equal(moment_read_span("86400s", DAY), DAY);
    static const char *const wrong[] = {"",     "0s",     "0h",  "15",           "m",
                                        "15 m", "+15m",   "-1m", "15min",        "1d",
                                        "1h1m", "86401s", "25h", "99999999999h", "4294967297s",
                                        "1.5h", " 1h",    "1h "};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(moment_read_span(wrong[i], DAY), 0);
    assert_int_equal(moment_read_span("999999999h", UINT32_MAX), 0);
}

static void expect_span(uint64_t ms, const char *text)
{
    char out[MOMENT_MAX];
    moment_write_span(out, ms);
    assert_string_equal(out, text);
}

static void test_write_span(void **state)
{
    (void)state;
    expect_span(0, "0 s");
    expect_span(59999, "59 s");
    expect_span(60000, "1 min 0 s");
    expect_span(3600000 * 2 + 60000 * 3, "2 h 3 min");
    expect_span(UINT64_C(86400000) * 9 + 3600000, "9 d 1 h");
    char out[MOMENT_MAX];
    moment_write_span(out, UINT64_MAX);
    assert_true(strlen(out) < MOMENT_MAX);
}

static void test_write(void **state)
{
    char out[MOMENT_MAX];
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    moment_write(out, 0);
    assert_string_equal(out, "-");
    moment_write(out, UINT64_C(1790000000123));
    assert_string_equal(out, "2026-09-21 14:13:20");
    moment_write(out, UINT64_MAX); /* what a hostile peer may say */
    assert_true(strlen(out) < MOMENT_MAX);
}

static void test_write_bytes(void **state)
{
    char out[MOMENT_MAX];
    (void)state;
    moment_write_bytes(out, 1023);
    assert_string_equal(out, "1023 B");
    moment_write_bytes(out, 1024);
    assert_string_equal(out, "1.0 KiB");
    moment_write_bytes(out, UINT64_C(64) << 20);
    assert_string_equal(out, "64.0 MiB");
    moment_write_bytes(out, UINT64_MAX);
    assert_string_equal(out, "16777216.0 TiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_span),
        cmocka_unit_test(test_write_span),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_bytes),
    };
    return cmocka_run_group_tests_name("moment", tests, NULL, NULL);
}

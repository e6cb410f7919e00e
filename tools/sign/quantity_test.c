/* Spans, moments and sizes: what is read, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <time.h>

#include "quantity.h"

#define NOW UINT64_C(1790000000)

static void test_spans(void **state)
{
    uint64_t ms;
    (void)state;
    assert_true(quantity_span_ms(&ms, "90s", 604800000) && ms == 90000);
    assert_true(quantity_span_ms(&ms, "1500ms", 604800000) && ms == 1500);
    assert_true(quantity_span_ms(&ms, "15m", 604800000) && ms == 900000);
    assert_true(quantity_span_ms(&ms, "7d", 604800000) && ms == 604800000);
    assert_false(quantity_span_ms(&ms, "169h", 604800000));
    static const char *const wrong[] = {"",
                                        "s",
                                        "1",
                                        "1 s",
                                        "1.5h",
                                        "-1s",
                                        "1w",
                                        "1s ",
                                        "+1s",
                                        "99999999999999999d",
                                        "18446744073709551617s"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(quantity_span_ms(&ms, wrong[i], UINT64_MAX));
}

static void test_sizes_and_numbers(void **state)
{
    uint64_t n;
    (void)state;
    assert_true(quantity_size(&n, "0", 10) && n == 0);
    assert_true(quantity_size(&n, "2K", 4096) && n == 2048);
    assert_true(quantity_size(&n, "1G", 1073741824) && n == 1073741824);
    assert_false(quantity_size(&n, "1025M", 1073741824));
    assert_false(quantity_size(&n, "1k", 4096));
    assert_true(quantity_number(&n, "9007199254740991", 1, 9007199254740991));
    assert_false(quantity_number(&n, "9007199254740992", 1, 9007199254740991));
    assert_false(quantity_number(&n, "0", 1, 5));
    assert_false(quantity_number(&n, "0x1", 0, 5));
}

static void expect(const char *text, uint64_t wanted)
{
    uint64_t seconds = 0;
    assert_true(quantity_moment(&seconds, text, NOW));
    assert_int_equal(seconds, wanted);
}

static void test_moments(void **state)
{
    uint64_t seconds;
    (void)state;
    expect("now", NOW);
    expect("+1h", NOW + 3600);
    expect("@0", 0);
    expect("@1790000000", NOW);
    expect("2026-09-21T14:13:20Z", NOW);
    expect("2026-09-21 14:13:20Z", NOW);
    expect("2028-02-29T00:00Z", 1835395200);
    expect("1970-01-01Z", 0);
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    expect("2026-09-21T16:13:20", NOW);
    expect("2026-12-21", 1797807600);
    static const char *const wrong[] = {"",
                                        "later",
                                        "+",
                                        "+1",
                                        "@",
                                        "@-1",
                                        "2026-02-30",
                                        "2027-02-29Z",
                                        "2026-13-01",
                                        "2026-00-01",
                                        "2026-1-1",
                                        "1969-12-31Z",
                                        "2026-09-21T24:00Z",
                                        "2026-09-21T14:60Z",
                                        "2026-09-21T14Z",
                                        "2026-09-21T14:13:20z",
                                        "2026-09-21T14:13:20+02:00",
                                        "2026-09-21T",
                                        "2026-09-2",
                                        "26-09-21"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(quantity_moment(&seconds, wrong[i], NOW));
}

static void test_written(void **state)
{
    char text[96];
    (void)state;
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    quantity_write_moment(text, NOW);
    assert_string_equal(text, "2026-09-21 16:13:20 +0200 (2026-09-21 14:13:20Z)");
    quantity_write_moment(text, UINT64_MAX);
    assert_string_equal(text, "@18446744073709551615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spans), cmocka_unit_test(test_sizes_and_numbers),
        cmocka_unit_test(test_moments), cmocka_unit_test(test_written)};
    return cmocka_run_group_tests_name("quantity", tests, NULL, NULL);
}

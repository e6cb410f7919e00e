/* RFC 4648 section 10 without padding, and that each byte string has exactly one text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base64url.h"

static void test_vectors(void **state)
{
    static const char *const texts[] = {"", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"};
    char out[16];
    uint8_t back[8];
    size_t size;
    (void)state;
    for (size_t length = 0; length < 7; length++) {
        base64url_write(out, (const uint8_t *)"foobar", length);
        assert_string_equal(out, texts[length]);
        assert_int_equal(BASE64URL_SIZE(length), strlen(out) + 1);
        assert_true(base64url_read(back, length, &size, out, strlen(out)));
        assert_int_equal(size, length);
        assert_memory_equal(back, "foobar", length);
        if (length)
            assert_false(base64url_read(back, length - 1, &size, out, strlen(out)));
    }
    base64url_write(out, (const uint8_t[]){0xfb, 0xff}, 2);
    assert_string_equal(out, "-_8");
}

/* Of all texts of two and three characters each value is read from one only. */
static void test_one_text(void **state)
{
    static uint8_t seen[65536];
    unsigned right = 0;
    (void)state;
    memset(seen, 0, sizeof(seen));
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            char text[2] = {(char)a, (char)b};
            uint8_t byte;
            size_t size;
            if (base64url_read(&byte, 1, &size, text, 2)) {
                assert_int_equal(size, 1);
                assert_int_equal(seen[byte]++, 0);
                right++;
            }
        }
    }
    assert_int_equal(right, 256);
}

static void test_refused(void **state)
{
    static const char *const texts[] = {"A",  "AAAAA", "AA==", "AA=",   "A+A", "A/AA",
                                        "AB", "AAB",   " AAA", "AAA\n", "AA.A"};
    uint8_t out[16];
    size_t size;
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(base64url_read(out, sizeof(out), &size, texts[i], strlen(texts[i])));
    assert_false(base64url_read(out, sizeof(out), &size, "AA\0A", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors),
                                       cmocka_unit_test(test_one_text),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests_name("base64url", tests, NULL, NULL);
}

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "encoding.h"

/* RFC 4648 section 10. */
static void knows_the_vectors(void **state)
{
    static const char *const expected[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                           "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    char text[ENCODING_BASE64_SIZE(6)];

    (void)state;
    for (size_t n = 0; n <= 6; n++) {
        encoding_base64(text, (const uint8_t *)"foobar", n);
        assert_string_equal(text, expected[n]);
    }
    encoding_base64(text, (const uint8_t *)"\xfb\xff\xfe", 3);
    assert_string_equal(text, "+//+");
}

static void accepts_one_spelling_only(void **state)
{
    uint8_t bytes[8];

    (void)state;
    assert_true(encoding_hex_read(bytes, 2, "0aff", 4));
    assert_memory_equal(bytes, "\x0a\xff", 2);
    assert_false(encoding_hex_read(bytes, 2, "0aFF", 4));
    assert_false(encoding_hex_read(bytes, 2, "0aff0", 5));
    assert_false(encoding_hex_read(bytes, 2, "0af", 3));
    assert_false(encoding_hex_read(bytes, 2, "0x0a", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_vectors),
        cmocka_unit_test(accepts_one_spelling_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

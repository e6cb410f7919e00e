#include "base64url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static bool takes(const char *text, size_t length)
{
    uint8_t out[16];
    size_t used;
    return base64url_decode(out, sizeof out, &used, text, length);
}

static void assert_one(const char *text, const char *bytes)
{
    uint8_t out[16];
    char back[16];
    size_t used = 99, length = strlen(bytes);
    memset(back, 'x', sizeof back);
    base64url_encode(back, (const uint8_t *)bytes, length);
    assert_string_equal(back, text);
    assert_int_equal(BASE64URL_SIZE(length), strlen(text) + 1);
    assert_true(base64url_decode_exactly(out, length, text, strlen(text)));
    assert_false(base64url_decode_exactly(out, length + 1, text, strlen(text)));
    if (length)
        assert_false(base64url_decode_exactly(out, length - 1, text, strlen(text)));
    assert_true(base64url_decode(out, sizeof out, &used, text, strlen(text)));
    assert_int_equal(used, strlen(bytes));
    assert_memory_equal(out, bytes, used);
}

/* RFC 4648 section 10, without padding; and RFC 4648 section 5's two characters. */
static void vectors(void **state)
{
    (void)state;
    assert_one("", "");
    assert_one("Zg", "f");
    assert_one("Zm8", "fo");
    assert_one("Zm9v", "foo");
    assert_one("Zm9vYg", "foob");
    assert_one("Zm9vYmE", "fooba");
    assert_one("Zm9vYmFy", "foobar");
    assert_one("-_-_", "\xfb\xff\xbf");
    assert_one("-_8", "\xfb\xff");
}

/* Every character at every place of a group. */
static void only_the_alphabet(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool known = c && strchr(alphabet, c);
        for (size_t place = 0; place < 4; place++) {
            char text[5] = "AAAA";
            text[place] = (char)c;
            assert_int_equal(takes(text, 4), known);
        }
        char two[] = {(char)c, 'A'}, three[] = {'A', (char)c, 'A'};
        assert_int_equal(takes(two, 2), known);
        assert_int_equal(takes(three, 3), known);
    }
}

/* Of the last character only the bits that are used may be set. */
static void unused_bits_are_zero(void **state)
{
    (void)state;
    for (size_t value = 0; value < 64; value++) {
        char two[] = {'A', alphabet[value]}, three[] = {'A', 'A', alphabet[value]};
        assert_int_equal(takes(two, 2), value % 16 == 0);
        assert_int_equal(takes(three, 3), value % 4 == 0);
    }
}

static void refuses_other_forms(void **state)
{
    (void)state;
    const char *const wrong[] = {"A",     "AAAAA", "Zg==",  "Zm8=", "Zm9v=", "Zm9v\n",
                                 " Zm9v", "Zm 9v", "Zm9+v", "a/b_", "Zm9v."};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(takes(wrong[i], strlen(wrong[i])));
    assert_false(takes("Zm9v\0", 5));
    assert_false(takes("Zm\0v", 4));
    /* libsodium's decoder takes these for '+' and '/'. */
    assert_false(takes("\xab\xaf\xab\xaf", 4));
}

static void stays_within_its_capacity(void **state)
{
    (void)state;
    uint8_t out[4] = {0, 0, 0, 77};
    size_t used;
    assert_true(base64url_decode(out, 3, &used, "Zm9v", 4));
    assert_false(base64url_decode(out, 2, &used, "Zm9v", 4));
    assert_false(base64url_decode(out, 3, &used, "Zm9vYg", 6));
    assert_int_equal(out[3], 77);
}

/* Of all texts of two characters each value is read from one only. */
static void one_text_a_byte(void **state)
{
    unsigned seen[256] = {0};
    (void)state;
    for (unsigned text = 0; text < 65536; text++) {
        char two[] = {(char)(text >> 8), (char)text};
        uint8_t byte;
        if (base64url_decode_exactly(&byte, 1, two, 2))
            seen[byte]++;
    }
    for (unsigned byte = 0; byte < 256; byte++)
        assert_int_equal(seen[byte], 1);
}

static void decodes_in_place(void **state)
{
    static const char bytes[] = "what is decoded may take the text's place, group by group";
    char text[BASE64URL_SIZE(sizeof bytes)];
    (void)state;
    for (size_t length = 0; length <= sizeof bytes; length++) {
        base64url_encode(text, (const uint8_t *)bytes, length);
        assert_true(base64url_decode_exactly((uint8_t *)text, length, text, strlen(text)));
        assert_memory_equal(text, bytes, length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(only_the_alphabet),
        cmocka_unit_test(unused_bits_are_zero),
        cmocka_unit_test(refuses_other_forms),
        cmocka_unit_test(stays_within_its_capacity),
        cmocka_unit_test(one_text_a_byte),
        cmocka_unit_test(decodes_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "token.h"

static void what_is_made_is_understood(void **state)
{
    (void)state;
    char text[TOKEN_TEXT], again[TOKEN_TEXT];
    uint8_t selector[TOKEN_SELECTOR_BYTES], hash[TOKEN_HASH_BYTES];
    uint8_t selector2[TOKEN_SELECTOR_BYTES], hash2[TOKEN_HASH_BYTES];
    token_make(text, selector, hash);
    assert_int_equal(strlen(text), TOKEN_TEXT - 1);
    assert_int_equal(token_parse(text, selector2, hash2), 0);
    assert_memory_equal(selector, selector2, sizeof(selector));
    assert_true(token_equal(hash, hash2));
    token_make(again, selector2, hash2);
    assert_string_not_equal(text, again);
    assert_false(token_equal(hash, hash2));
}

static void the_hash_is_that_of_the_secret_alone(void **state)
{
    (void)state;
    uint8_t selector[TOKEN_SELECTOR_BYTES], hash[TOKEN_HASH_BYTES], expected[TOKEN_HASH_BYTES];
    const uint8_t zero[TOKEN_SECRET_BYTES] = {0};
    assert_int_equal(
        token_parse("ct1.AAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", selector, hash),
        0);
    crypto_hash_sha256(expected, zero, sizeof(zero));
    assert_memory_equal(hash, expected, sizeof(hash));
    assert_memory_equal(selector, zero, sizeof(selector));
}

static void everything_else_is_malformed(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "ct1.",
        "ct1.AAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "ct1.AAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "ct1.AAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB", /* unused bits set */
        "ct1.AAAAAAAAAAAA-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "ct2.AAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "ct1.AAAAAAAAAAA+.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "ct1.AAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    };
    uint8_t selector[TOKEN_SELECTOR_BYTES], hash[TOKEN_HASH_BYTES];
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(token_parse(wrong[i], selector, hash), TOKEN_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_made_is_understood),
        cmocka_unit_test(the_hash_is_that_of_the_secret_alone),
        cmocka_unit_test(everything_else_is_malformed),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

#include "bech32.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

/* The pair that the age specification shows. */
static const char recipient[] = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
static const char identity[] =
    "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

static void decodes_the_specifications_examples(void **state)
{
    (void)state;
    uint8_t key[32];
    assert_int_equal(bech32_decode(identity, "age-secret-key-", key, 32), 0);
    for (int i = 0; i < 32; i++)
        assert_int_equal(key[i], 0x42);
    assert_int_equal(bech32_decode(recipient, "age", key, 32), 0);
    char again[BECH32_MAX + 1];
    assert_int_equal(bech32_encode(again, sizeof(again), "age", key, 32), 0);
    assert_string_equal(again, recipient);
}

/* Valid strings of BIP-173 whose data part is empty. */
static void follows_bip173_valid(void **state)
{
    (void)state;
    uint8_t none[1];
    assert_int_equal(bech32_decode("A12UEL5L", "a", none, 0), 0);
    assert_int_equal(bech32_decode("a12uel5l", "a", none, 0), 0);
    assert_int_equal(bech32_decode("?1ezyfcl", "?", none, 0), 0);
    assert_int_equal(bech32_decode("an83characterlonghumanreadablepartthatcontainsthenumber1and"
                                   "theexcludedcharactersbio1tt5tgs",
                                   "an83characterlonghumanreadablepartthatcontainsthenumber1and"
                                   "theexcludedcharactersbio",
                                   none, 0),
                     0);
}

static void follows_bip173_invalid(void **state)
{
    (void)state;
    uint8_t none[1];
    assert_int_equal(bech32_decode("\x20"
                                   "1nwldj5",
                                   " ", none, 0),
                     BECH32_CHARACTER);
    assert_int_equal(bech32_decode("\x7f"
                                   "1axkwrx",
                                   "\x7f", none, 0),
                     BECH32_CHARACTER);
    assert_int_equal(bech32_decode("pzry9x0s0muk", "", none, 0), BECH32_CHARACTER);
    assert_int_equal(bech32_decode("x1b4n0q5v", "x", none, 0), BECH32_CHARACTER);
    assert_int_equal(bech32_decode("li1dgmt3", "li", none, 0), BECH32_LENGTH);
    assert_int_equal(bech32_decode("A1G7SGD8", "a", none, 0), BECH32_CHECKSUM);
    assert_int_equal(bech32_decode("A12uEL5L", "a", none, 0), BECH32_CASE);
    assert_int_equal(bech32_decode("", "age", none, 0), BECH32_CHARACTER);
}

static void refuses_every_single_change(void **state)
{
    (void)state;
    static const char letters[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l1bio-";
    uint8_t key[32], zero[32] = {0};
    char text[sizeof(recipient)];
    for (size_t i = 0; i < sizeof(recipient) - 1; i++)
        for (const char *c = letters; *c; c++) {
            memcpy(text, recipient, sizeof(text));
            if (text[i] == *c)
                continue;
            text[i] = *c;
            assert_int_not_equal(bech32_decode(text, "age", key, 32), 0);
            assert_memory_equal(key, zero, 32);
        }
}

static void refuses_other_lengths_and_kinds(void **state)
{
    (void)state;
    uint8_t key[40];
    assert_int_equal(bech32_decode(recipient, "age", key, 31), BECH32_LENGTH);
    assert_int_equal(bech32_decode(recipient, "age", key, 33), BECH32_LENGTH);
    assert_int_equal(bech32_decode(recipient, "age-secret-key-", key, 32), BECH32_PREFIX);
    assert_int_equal(bech32_decode(identity, "age", key, 32), BECH32_PREFIX);
    char longer[BECH32_MAX + 2];
    memset(longer, 'q', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(bech32_decode(longer, "age", key, 32), BECH32_LENGTH);
}

/* 3 bytes take 5 characters, 25 bits: the last bit must be zero; here, checksum fitting, it is 1.
 */
static void refuses_padding_bits(void **state)
{
    (void)state;
    uint8_t out[3];
    assert_int_equal(bech32_decode("age1lllllncz702", "age", out, 3), BECH32_PADDING);
}

static void encoder_respects_capacity(void **state)
{
    (void)state;
    uint8_t key[32] = {1, 2, 3};
    char text[62];
    assert_int_equal(bech32_encode(text, sizeof(text), "age", key, 32), BECH32_LENGTH);
    char fits[63];
    assert_int_equal(bech32_encode(fits, sizeof(fits), "age", key, 32), 0);
    assert_int_equal(strlen(fits), 62);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_the_specifications_examples),
        cmocka_unit_test(follows_bip173_valid),
        cmocka_unit_test(follows_bip173_invalid),
        cmocka_unit_test(refuses_every_single_change),
        cmocka_unit_test(refuses_other_lengths_and_kinds),
        cmocka_unit_test(refuses_padding_bits),
        cmocka_unit_test(encoder_respects_capacity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "command_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sodium.h>
#include <string.h>
#include <cmocka.h>

#include "cloister.pb.h"
#include "token_sample.h"

static struct command_keys table;

static int fresh(void **state)
{
    (void)state;
    if (sodium_init() < 0)
        return -1;
    sample_table(&table, SAMPLE_KEYS);
    return 0;
}

static void assert_flawed(void)
{
    assert_non_null(command_keys_flaw(&table));
    fresh(NULL);
    assert_null(command_keys_flaw(&table));
}

static void good_tables(void **state)
{
    (void)state;
    assert_null(command_keys_flaw(&table));
    sample_table(&table, 0);
    assert_null(command_keys_flaw(&table));
    command_keys_built_in(&table);
    assert_null(command_keys_flaw(&table));
}

static void numbers(void **state)
{
    (void)state;
    table.magic[15] = 'x';
    assert_flawed();
    table.magic[0] = 'C';
    assert_flawed();
    table.count = COMMAND_KEYS_MAX + 1;
    assert_flawed();
    table.count = UINT32_MAX;
    assert_flawed();
    table.count = SAMPLE_KEYS - 1; /* what follows is not zero */
    assert_flawed();
    table.count = SAMPLE_KEYS + 1; /* an empty key */
    assert_flawed();
    table.keys[0].profile = ipc_PROFILE_ADMIN + 1;
    assert_flawed();
    table.keys[0].flags = 4;
    assert_flawed();
}

/* Every byte that must be zero. */
static void zeros(void **state)
{
    (void)state;
    table.zero = 1u << 31;
    assert_flawed();
    table.keys[1].zero = 1;
    assert_flawed();
    for (size_t i = 0; i < sizeof table.rest; i++) {
        table.rest[i] = 1;
        assert_flawed();
    }
    for (size_t i = sizeof(struct command_key) * SAMPLE_KEYS; i < sizeof table.keys; i++) {
        ((uint8_t *)table.keys)[i] = 1;
        assert_flawed();
    }
}

static void key_ids(void **state)
{
    (void)state;
    static const char wrong[][sizeof table.keys[0].kid] = {"",    "A",    "a b",
                                                           "a/b", "\x80", "ops-1\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        memcpy(table.keys[0].kid, wrong[i], sizeof wrong[i]);
        assert_flawed();
    }
    memset(table.keys[0].kid, 'a', COMMAND_KID_MAX);
    assert_null(command_keys_flaw(&table));
    table.keys[0].kid[COMMAND_KID_MAX] = 'a';
    assert_flawed();
    memset(table.keys[0].kid, 'a', sizeof table.keys[0].kid);
    assert_flawed();
    table.keys[0].kid[10] = 'x'; /* after its NUL */
    assert_flawed();
    memcpy(table.keys[0].kid, table.keys[1].kid, sizeof table.keys[0].kid);
    assert_flawed();
}

static void points(void **state)
{
    (void)state;
    table.keys[1].point[63] ^= 1;
    assert_flawed();
    memset(table.keys[1].point, 0, 64);
    assert_flawed();
    memset(table.keys[1].point, 0xff, 64);
    assert_flawed();
    memcpy(table.keys[1].point, table.keys[0].point, 64); /* it could countersign itself */
    assert_flawed();
}

/* The key of RFC 6979 appendix A.2.5; the digest is openssl's and sha256sum's. */
static void fingerprints(void **state)
{
    (void)state;
    static const char x[] = "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6",
                      y[] = "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299";
    struct command_key key = {.kid = "sample"};
    char text[COMMAND_FINGERPRINT_SIZE];
    sodium_hex2bin(key.point, 32, x, 64, NULL, NULL, NULL);
    sodium_hex2bin(key.point + 32, 32, y, 64, NULL, NULL, NULL);
    command_key_fingerprint(text, &key);
    assert_string_equal(text, "SHA256:Wnp4zKSg9CDZvGK7Zpw8J1njn3I9OuENy+DwgVoH7NQ");
    assert_int_equal(strlen(text), 7 + 43);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(good_tables, fresh), cmocka_unit_test_setup(numbers, fresh),
        cmocka_unit_test_setup(zeros, fresh),       cmocka_unit_test_setup(key_ids, fresh),
        cmocka_unit_test_setup(points, fresh),      cmocka_unit_test_setup(fingerprints, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

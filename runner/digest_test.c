/* libsodium is the peer. */
#include "digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

static uint8_t bytes[300000];

static void compare(size_t length, size_t piece)
{
    struct digest digest;
    uint8_t wanted[32], got[DIGEST_SIZE];
    crypto_hash_sha256(wanted, bytes, length);
    digest_begin(&digest);
    for (size_t at = 0; at < length; at += piece)
        digest_add(&digest, bytes + at, length - at < piece ? length - at : piece);
    digest_value(&digest, got);
    assert_memory_equal(got, wanted, sizeof got);
    digest_value(&digest, got); /* it can be asked again */
    assert_memory_equal(got, wanted, sizeof got);
}

static void test_every_length(void **state)
{
    (void)state;
    randombytes_buf(bytes, sizeof bytes);
    for (size_t length = 0; length < 300; length++)
        for (size_t piece = 1; piece < 200; piece += 31)
            compare(length, piece);
}

static void test_long(void **state)
{
    (void)state;
    compare(sizeof bytes, sizeof bytes);
    compare(sizeof bytes, 65536);
    compare(sizeof bytes, 4097);
}

/* FIPS 180-2, appendix B.1 */
static void test_vector(void **state)
{
    (void)state;
    static const uint8_t wanted[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
                                     0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                     0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
                                     0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    struct digest digest;
    uint8_t got[DIGEST_SIZE];
    digest_begin(&digest);
    digest_add(&digest, "abc", 3);
    digest_value(&digest, got);
    assert_memory_equal(got, wanted, sizeof got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_vector),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

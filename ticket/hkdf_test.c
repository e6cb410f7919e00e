#include "hkdf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sodium.h>
#include <cmocka.h>

static size_t from_hex(uint8_t *out, size_t capacity, const char *hex)
{
    size_t length = 0;
    assert_int_equal(sodium_hex2bin(out, capacity, hex, strlen(hex), NULL, &length, NULL), 0);
    return length;
}

static void check(const char *ikm, const char *salt, const char *info, const char *okm)
{
    uint8_t i[100], s[100], f[100], want[32], got[32];
    size_t il = from_hex(i, sizeof(i), ikm), sl = from_hex(s, sizeof(s), salt);
    size_t fl = from_hex(f, sizeof(f), info);
    from_hex(want, sizeof(want), okm);
    hkdf_sha256(got, i, il, sl ? s : NULL, sl, f, fl);
    assert_memory_equal(got, want, 32);
}

/* RFC 5869, appendix A.1 and A.3; the first 32 bytes of their output. */
static void agrees_with_rfc5869(void **state)
{
    (void)state;
    check("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
          "f0f1f2f3f4f5f6f7f8f9",
          "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
    check("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
          "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_rfc5869)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

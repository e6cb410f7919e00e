#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "consent.h"

#define SIZE (2 * CONSENT_CHUNK + 5)

struct bundle {
    uint8_t bytes[SIZE], list[3 * CONSENT_DIGEST], digest[CONSENT_DIGEST];
    struct consent consent;
};

static int make(void **state)
{
    struct bundle *b = calloc(1, sizeof(*b));
    for (size_t i = 0; i < SIZE; i++)
        b->bytes[i] = (uint8_t)(i * 31 + i / 997);
    consent_sha256(b->list, b->bytes, CONSENT_CHUNK);
    consent_sha256(b->list + 32, b->bytes + CONSENT_CHUNK, CONSENT_CHUNK);
    consent_sha256(b->list + 64, b->bytes + 2 * CONSENT_CHUNK, 5);
    consent_sha256(b->digest, b->list, sizeof(b->list));
    *state = b;
    return 0;
}

static int drop(void **state)
{
    struct bundle *b = *state;
    consent_clear(&b->consent);
    free(b);
    return 0;
}

static void lets_exactly_the_consented_bytes_pass(void **state)
{
    struct bundle *b = *state;
    assert_int_equal(consent_set(&b->consent, SIZE, SIZE, b->digest, b->list, 96), CONSENT_OK);
    struct consent *c = &b->consent;
    const uint8_t *last = b->bytes + 2 * CONSENT_CHUNK;
    for (int again = 0; again < 2; again++) { /* a chunk may be sent again */
        assert_int_equal(consent_check(c, 0, b->bytes, CONSENT_CHUNK), CONSENT_OK);
        assert_int_equal(consent_check(c, 1, b->bytes + CONSENT_CHUNK, CONSENT_CHUNK), CONSENT_OK);
        assert_int_equal(consent_check(c, 2, last, 5), CONSENT_OK);
    }
    assert_int_equal(consent_check(c, 1, b->bytes, CONSENT_CHUNK), CONSENT_DIGEST_WRONG);
    assert_int_equal(consent_check(c, 3, last, 5), CONSENT_PLACE);
    assert_int_equal(consent_check(c, UINT32_MAX, last, 5), CONSENT_PLACE);
    assert_int_equal(consent_check(c, 2, last, 4), CONSENT_LENGTH);
    assert_int_equal(consent_check(c, 2, b->bytes, 6), CONSENT_LENGTH);
    assert_int_equal(consent_check(c, 0, b->bytes, CONSENT_CHUNK - 1), CONSENT_LENGTH);
    b->bytes[CONSENT_CHUNK - 1] ^= 1;
    assert_int_equal(consent_check(c, 0, b->bytes, CONSENT_CHUNK), CONSENT_DIGEST_WRONG);
}

static void refuses_parts_that_disagree(void **state)
{
    struct bundle *b = *state;
    struct consent *c = &b->consent;
    assert_int_equal(consent_set(c, 0, SIZE, b->digest, b->list, 0), CONSENT_SIZE);
    assert_int_equal(consent_set(c, SIZE, SIZE - 1, b->digest, b->list, 96), CONSENT_SIZE);
    assert_int_equal(consent_set(c, UINT64_MAX, UINT64_MAX, b->digest, b->list, 96), CONSENT_SIZE);
    assert_int_equal(consent_set(c, SIZE, SIZE, b->digest, b->list, 95), CONSENT_SIZE);
    assert_int_equal(consent_set(c, 2 * CONSENT_CHUNK, SIZE, b->digest, b->list, 96), CONSENT_SIZE);
    assert_int_equal(consent_set(c, 3 * CONSENT_CHUNK + 1, UINT64_MAX, b->digest, b->list, 96),
                     CONSENT_SIZE);
    b->list[40] ^= 1;
    assert_int_equal(consent_set(c, SIZE, SIZE, b->digest, b->list, 96), CONSENT_DIGEST_WRONG);
    assert_int_equal(c->chunks, 0); /* and nothing passes without a consent */
    assert_int_equal(consent_check(c, 0, b->bytes, CONSENT_CHUNK), CONSENT_PLACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lets_exactly_the_consented_bytes_pass, make, drop),
        cmocka_unit_test_setup_teardown(refuses_parts_that_disagree, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

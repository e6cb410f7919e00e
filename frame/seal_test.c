#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "seal.h"

#define TICKET 41U

static const struct seal_label part = {SEAL_PART, 9, 1, 3};

static void agree(struct seal **capture, struct seal **ticket, uint32_t number)
{
    uint8_t offered[SEAL_PUBLIC_KEY_BYTES], accepted[SEAL_PUBLIC_KEY_BYTES];
    assert_int_equal(seal_offer(ticket, offered), 0);
    assert_int_equal(seal_accept(capture, TICKET, offered, accepted), 0);
    assert_int_equal(seal_complete(*ticket, number, accepted), 0);
}

static void both_directions_open(void **state)
{
    (void)state;
    struct seal *capture, *ticket;
    agree(&capture, &ticket, TICKET);
    uint8_t sealed[64], opened[64];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(seal_close(capture, &part, (const uint8_t *)"pixels", 6, sealed, 22), 0);
        assert_null(memmem(sealed, 22, "pixels", 6));
        assert_int_equal(seal_open(ticket, &part, sealed, 22, opened, 6), SEAL_OK);
        assert_memory_equal(opened, "pixels", 6);
        assert_int_equal(seal_close(ticket, &part, (const uint8_t *)"", 0, sealed, 16), 0);
        assert_int_equal(seal_open(capture, &part, sealed, 16, opened, 0), SEAL_OK);
    }
    seal_free(capture);
    seal_free(ticket);
}

static void any_change_is_noticed(void **state)
{
    (void)state;
    struct seal *capture, *ticket;
    agree(&capture, &ticket, TICKET);
    uint8_t sealed[64], opened[64];
    assert_int_equal(seal_close(capture, &part, (const uint8_t *)"pixels", 6, sealed, 64), 0);
    for (size_t at = 0; at < 22; at++) {
        sealed[at] ^= 0x10;
        assert_int_equal(seal_open(ticket, &part, sealed, 22, opened, 64), SEAL_FORGED);
        sealed[at] ^= 0x10;
    }
    for (size_t cut = 0; cut < 22; cut++)
        assert_int_equal(seal_open(ticket, &part, sealed, cut, opened, 64), SEAL_FORGED);
    struct seal_label labels[] = {
        {SEAL_LISTING, 9, 1, 3}, {SEAL_PART, 8, 1, 3}, {SEAL_PART, 9, 0, 3}, {SEAL_PART, 9, 1, 2}};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(seal_open(ticket, &labels[i], sealed, 22, opened, 64), SEAL_FORGED);
    assert_int_equal(seal_open(ticket, &part, sealed, 22, opened, 5), SEAL_TOO_LARGE);
    assert_int_equal(seal_open(ticket, &part, sealed, 22, opened, 6), SEAL_OK);
    seal_free(capture);
    seal_free(ticket);
}

static void order_and_ticket_are_bound(void **state)
{
    (void)state;
    struct seal *capture, *ticket, *other_capture, *other_number;
    agree(&capture, &ticket, TICKET);
    uint8_t one[17], two[17], opened[1];
    assert_int_equal(seal_close(capture, &part, (const uint8_t *)"1", 1, one, 17), 0);
    assert_int_equal(seal_close(capture, &part, (const uint8_t *)"2", 1, two, 17), 0);
    assert_int_equal(seal_open(ticket, &part, two, 17, opened, 1), SEAL_FORGED);
    assert_int_equal(seal_open(ticket, &part, one, 17, opened, 1), SEAL_OK);
    assert_int_equal(seal_open(ticket, &part, one, 17, opened, 1), SEAL_FORGED);
    assert_int_equal(seal_open(ticket, &part, two, 17, opened, 1), SEAL_OK);
    /* Its own words, sent back. */
    assert_int_equal(seal_open(capture, &part, one, 17, opened, 1), SEAL_FORGED);
    agree(&other_capture, &other_number, TICKET + 1);
    assert_int_equal(seal_close(other_capture, &part, (const uint8_t *)"1", 1, one, 17), 0);
    assert_int_equal(seal_open(other_number, &part, one, 17, opened, 1), SEAL_FORGED);
    assert_int_equal(seal_open(ticket, &part, one, 17, opened, 1), SEAL_FORGED);
    seal_free(capture);
    seal_free(ticket);
    seal_free(other_capture);
    seal_free(other_number);
}

static void bad_keys_and_bad_order_are_refused(void **state)
{
    (void)state;
    struct seal *seal = NULL;
    uint8_t zero[SEAL_PUBLIC_KEY_BYTES] = {0}, ours[SEAL_PUBLIC_KEY_BYTES], out[32];
    assert_int_equal(seal_accept(&seal, TICKET, zero, ours), SEAL_REFUSED);
    assert_null(seal);
    assert_int_equal(seal_offer(&seal, ours), 0);
    assert_int_equal(seal_close(seal, &part, ours, 1, out, 32), SEAL_TOO_LARGE);
    assert_int_equal(seal_open(seal, &part, out, 32, ours, 32), SEAL_FORGED);
    assert_int_equal(seal_complete(seal, TICKET, zero), SEAL_REFUSED);
    assert_int_equal(seal_complete(seal, TICKET, ours), -EINVAL);
    seal_free(seal);
    struct seal *capture, *ticket;
    agree(&capture, &ticket, TICKET);
    assert_int_equal(seal_complete(ticket, TICKET, ours), -EINVAL);
    assert_int_equal(seal_close(capture, &part, ours, 17, out, 32), SEAL_TOO_LARGE);
    seal_free(capture);
    seal_free(ticket);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_directions_open),
        cmocka_unit_test(any_change_is_noticed),
        cmocka_unit_test(order_and_ticket_are_bound),
        cmocka_unit_test(bad_keys_and_bad_order_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

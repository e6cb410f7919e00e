#include "key_slot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

static uint8_t secret[INSTALL_SECRET_SIZE], seed[KEY_SEED_SIZE];
static uint8_t public_key[MACHINE_PUBLIC_KEY_SIZE];

static struct hardware hardware_of(const char *disk, const char *board)
{
    struct hardware hardware;
    memset(&hardware, 0, sizeof hardware);
    if (disk)
        hardware_identify(&hardware.part[HARDWARE_DISK], HARDWARE_READABLE, disk, strlen(disk));
    if (board)
        hardware_identify(&hardware.part[HARDWARE_BOARD], HARDWARE_READABLE, board, strlen(board));
    return hardware;
}

static int set_up(void **state)
{
    (void)state;
    uint8_t secret_key[crypto_sign_SECRETKEYBYTES];
    randombytes_buf(secret, sizeof secret);
    randombytes_buf(seed, sizeof seed);
    crypto_sign_seed_keypair(public_key, secret_key, seed);
    return 0;
}

/* Opens, and checks that a failure leaves nothing behind. */
static int opens(const struct key_slot *slot, const struct hardware *hardware,
                 const uint8_t *install, const uint8_t *whose)
{
    uint8_t opened[KEY_SEED_SIZE];
    memset(opened, 0xa5, sizeof opened);
    int good = key_slot_open(slot, hardware, install, whose, opened);
    if (good)
        assert_memory_equal(opened, seed, sizeof seed);
    else
        assert_true(sodium_is_zero(opened, sizeof opened));
    return good;
}

static void only_the_same_part_opens(void **state)
{
    (void)state;
    struct hardware here = hardware_of("DISK1", "BOARD1");
    struct hardware other = hardware_of("DISK2", "BOARD2");
    struct hardware swapped = hardware_of("BOARD1", "DISK1");
    struct hardware unreadable = hardware_of(NULL, NULL);
    for (enum key_slot_kind kind = KEY_SLOT_DISK; kind <= KEY_SLOT_BOARD; kind++) {
        struct key_slot slot;
        key_slot_seal(&slot, kind, &here, secret, seed, public_key);
        assert_true(key_slot_matches(&slot, &here, secret));
        assert_true(opens(&slot, &here, secret, public_key));
        assert_false(key_slot_matches(&slot, &other, secret));
        assert_false(opens(&slot, &other, secret, public_key));
        assert_false(key_slot_matches(&slot, &swapped, secret));
        assert_false(opens(&slot, &swapped, secret, public_key));
        assert_false(key_slot_matches(&slot, &unreadable, secret));
        assert_false(opens(&slot, &unreadable, secret, public_key));
    }
}

static void the_other_part_does_not_matter(void **state)
{
    (void)state;
    struct hardware here = hardware_of("DISK1", "BOARD1"), disk = hardware_of("DISK1", NULL);
    struct key_slot slot;
    key_slot_seal(&slot, KEY_SLOT_DISK, &here, secret, seed, public_key);
    assert_true(key_slot_matches(&slot, &disk, secret));
    assert_true(opens(&slot, &disk, secret, public_key));
}

static void nothing_else_will_do(void **state)
{
    (void)state;
    struct hardware here = hardware_of("DISK1", "BOARD1");
    uint8_t other[32];
    struct key_slot slot, altered;
    key_slot_seal(&slot, KEY_SLOT_DISK, &here, secret, seed, public_key);
    randombytes_buf(other, sizeof other);
    assert_false(opens(&slot, &here, other, public_key));
    assert_false(opens(&slot, &here, secret, other));
    altered = slot;
    altered.kind = KEY_SLOT_NOTHING;
    assert_false(opens(&altered, &here, secret, public_key));
    altered = slot;
    altered.nonce[0] ^= 1;
    assert_false(opens(&altered, &here, secret, public_key));
    altered = slot;
    altered.box[KEY_SLOT_BOX_SIZE - 1] ^= 1;
    assert_false(opens(&altered, &here, secret, public_key));
}

/* A box that opens but holds another seed than the file's public key says. */
static void a_seed_of_another_key_is_refused(void **state)
{
    (void)state;
    struct hardware here = hardware_of("DISK1", NULL);
    uint8_t other[32];
    struct key_slot slot;
    randombytes_buf(other, sizeof other);
    key_slot_seal(&slot, KEY_SLOT_DISK, &here, secret, other, public_key);
    assert_false(opens(&slot, &here, secret, public_key));
}

static void no_two_seals_are_alike(void **state)
{
    (void)state;
    struct hardware here = hardware_of("DISK1", NULL);
    struct key_slot one, two;
    key_slot_seal(&one, KEY_SLOT_DISK, &here, secret, seed, public_key);
    key_slot_seal(&two, KEY_SLOT_DISK, &here, secret, seed, public_key);
    assert_memory_not_equal(one.nonce, two.nonce, sizeof one.nonce);
    assert_memory_not_equal(one.box, two.box, sizeof one.box);
    assert_memory_equal(one.tag, two.tag, sizeof one.tag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_same_part_opens),
        cmocka_unit_test(the_other_part_does_not_matter),
        cmocka_unit_test(nothing_else_will_do),
        cmocka_unit_test(a_seed_of_another_key_is_refused),
        cmocka_unit_test(no_two_seals_are_alike),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, set_up, NULL);
}

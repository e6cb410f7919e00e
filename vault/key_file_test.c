#include "key_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

#include "key_slot.h"

/* The vectors of docs/machine-key.md, computed by machine_key_vectors.py. */
static const char secret_vector[] =
    "434c5354525345430100202122232425262728292a2b2c2d2e2f303132333435"
    "363738393a3b3c3d3e3f083a8f9501e8ffbc57b9a0ea94ab106deea725605894"
    "e4981d24a02e60213254";
static const char bound_vector[] =
    "434c5354524b455901000201006c50c4a001000003a107bff3ce10be1d70dd18"
    "e74bc09967e4d6309ba50d5f1ddc8664125531b8a0a1a2a3a4a5a6a7a8a9aaab"
    "acadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf02014d13df5bbe90eeaa9efa"
    "e1794d0c66f620c59fcd01dadebb0286bcafcbe7a16540414243444546474849"
    "4a4b4c4d4e4f5051525354555657e1596e873f2bee9f4e2b55608978c91b6ea5"
    "0e4b7ecd1b69f88daff0ebdf635c91f92ebb32d8dba66f3475ad3c09d08f0293"
    "10bd3016940d6b5a0f5c0cbdbafd8b701cb8adbe6282c254b5f1cf81c5024e58"
    "595a5b5c5d5e5f606162636465666768696a6b6c6d6e6fafcd9816f2900b205b"
    "2d8552bcd2902feb076b21b079653d2b86247a9244e35b46e9aacf0302ae56fa"
    "a7f90b7accd6c57c7f89604430f39ad9c34c5af28ba608f2852eecc51d6e9578"
    "faf3bc7dae7597";
static const char unbound_vector[] =
    "434c5354524b455901000100006c50c4a001000003a107bff3ce10be1d70dd18"
    "e74bc09967e4d6309ba50d5f1ddc8664125531b8000000000000000000000000"
    "0000000000000000000000000000000000000000010003ff692babc284be0184"
    "362e07128787cf61ac7895edbabdb4df303cf842650370717273747576777879"
    "7a7b7c7d7e7f8081828384858687d2ca1d038359089e4ed97a0f2fa3164215d2"
    "9d4ae6a465483841b67242c467eca78653be745289dca7bbc2b26a25d05fa655"
    "cda53682a3818ad05bcb2b3ba0adbd7e06138b93df4e107ab23cb0fb1fbb";

static uint8_t secret[INSTALL_SECRET_SIZE], seed[KEY_SEED_SIZE];
static uint8_t public_key[MACHINE_PUBLIC_KEY_SIZE];
static struct hardware hardware;

static void count_up(uint8_t *out, size_t length, int from)
{
    for (size_t i = 0; i < length; i++)
        out[i] = (uint8_t)(from + (int)i);
}

static void identify(enum hardware_part part, const char *text)
{
    hardware_identify(&hardware.part[part], HARDWARE_READABLE, text, strlen(text));
}

static int set_up(void **state)
{
    (void)state;
    uint8_t secret_key[crypto_sign_SECRETKEYBYTES];
    count_up(secret, sizeof secret, 0x20);
    count_up(seed, sizeof seed, 0);
    crypto_sign_seed_keypair(public_key, secret_key, seed);
    identify(HARDWARE_DISK, "WD-WX12 A345");
    identify(HARDWARE_BOARD, "PF2ABCDE");
    return 0;
}

static size_t unhex(uint8_t *out, size_t capacity, const char *hex)
{
    size_t length = 0;
    assert_int_equal(sodium_hex2bin(out, capacity, hex, strlen(hex), NULL, &length, NULL), 0);
    return length;
}

static void assert_opens(const struct key_slot *slot)
{
    uint8_t opened[KEY_SEED_SIZE];
    assert_true(key_slot_matches(slot, &hardware, secret));
    assert_true(key_slot_open(slot, &hardware, secret, public_key, opened));
    assert_memory_equal(opened, seed, sizeof seed);
}

static void install_secret_agrees_with_the_page(void **state)
{
    (void)state;
    uint8_t file[INSTALL_SECRET_FILE_LEN], written[INSTALL_SECRET_FILE_LEN];
    uint8_t read[INSTALL_SECRET_SIZE];
    assert_int_equal(unhex(file, sizeof file, secret_vector), sizeof file);
    install_secret_encode(written, secret);
    assert_memory_equal(written, file, sizeof file);
    assert_int_equal(install_secret_decode(read, file, sizeof file), KEY_FILE_GOOD);
    assert_memory_equal(read, secret, sizeof secret);
}

static void bound_file_agrees_with_the_page(void **state)
{
    (void)state;
    uint8_t file[KEY_FILE_MAX], written[KEY_FILE_MAX], previous[MACHINE_ID_SIZE];
    struct key_record record;
    size_t length = unhex(file, sizeof file, bound_vector);
    assert_int_equal(key_file_decode(&record, file, length, secret), KEY_FILE_GOOD);
    assert_int_equal(record.origin, KEY_ORIGIN_DISK_CHANGED);
    assert_int_equal(record.created_ms, 1790000000000);
    assert_int_equal(record.has_previous, 1);
    count_up(previous, sizeof previous, 0xa0);
    assert_memory_equal(record.previous_id, previous, sizeof previous);
    assert_memory_equal(record.public_key, public_key, sizeof public_key);
    assert_int_equal(record.slot_count, 2);
    assert_int_equal(record.slots[0].kind, KEY_SLOT_DISK);
    assert_int_equal(record.slots[1].kind, KEY_SLOT_BOARD);
    assert_opens(&record.slots[0]);
    assert_opens(&record.slots[1]);
    assert_int_equal(key_file_encode(written, &record, secret), length);
    assert_memory_equal(written, file, length);
}

static void unbound_file_agrees_with_the_page(void **state)
{
    (void)state;
    uint8_t file[KEY_FILE_MAX], written[KEY_FILE_MAX];
    struct key_record record;
    size_t length = unhex(file, sizeof file, unbound_vector);
    assert_int_equal(key_file_decode(&record, file, length, secret), KEY_FILE_GOOD);
    assert_int_equal(record.has_previous, 0);
    assert_int_equal(record.slot_count, 1);
    assert_int_equal(record.slots[0].kind, KEY_SLOT_NOTHING);
    assert_opens(&record.slots[0]);
    assert_int_equal(key_file_encode(written, &record, secret), length);
    assert_memory_equal(written, file, length);
}

/* Neither file is good after any change of one bit, any cut, or any byte more. */
static void every_damage_is_seen(void **state)
{
    (void)state;
    uint8_t key[KEY_FILE_MAX + 1], wrapped[INSTALL_SECRET_FILE_LEN + 1] = {0};
    uint8_t read[INSTALL_SECRET_SIZE];
    struct key_record record;
    size_t length = unhex(key, sizeof key, bound_vector);
    unhex(wrapped, sizeof wrapped, secret_vector);
    for (size_t bit = 0; bit < 8 * length; bit++) {
        key[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(key_file_decode(&record, key, length, secret), KEY_FILE_GOOD);
        key[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < length; cut++)
        assert_int_not_equal(key_file_decode(&record, key, cut, secret), KEY_FILE_GOOD);
    key[length] = 0;
    assert_int_equal(key_file_decode(&record, key, length + 1, secret), KEY_FILE_MALFORMED);
    for (size_t bit = 0; bit < 8 * INSTALL_SECRET_FILE_LEN; bit++) {
        wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(install_secret_decode(read, wrapped, INSTALL_SECRET_FILE_LEN),
                             KEY_FILE_GOOD);
        wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < INSTALL_SECRET_FILE_LEN; cut++)
        assert_int_not_equal(install_secret_decode(read, wrapped, cut), KEY_FILE_GOOD);
    assert_int_equal(install_secret_decode(read, wrapped, sizeof wrapped), KEY_FILE_MALFORMED);
}

/* Genuine code, impossible content: what only somebody with the install secret could write. */
static void impossible_fields_are_refused(void **state)
{
    (void)state;
    uint8_t file[KEY_FILE_MAX];
    struct key_record good, bad;
    size_t length = unhex(file, sizeof file, bound_vector);
    assert_int_equal(key_file_decode(&good, file, length, secret), KEY_FILE_GOOD);
    bad = good;
    bad.origin = 6;
    length = key_file_encode(file, &bad, secret);
    assert_int_equal(key_file_decode(&bad, file, length, secret), KEY_FILE_MALFORMED);
    bad = good;
    bad.has_previous = 0;
    length = key_file_encode(file, &bad, secret);
    assert_int_equal(key_file_decode(&bad, file, length, secret), KEY_FILE_MALFORMED);
    bad = good;
    bad.slots[1].kind = KEY_SLOT_DISK;
    length = key_file_encode(file, &bad, secret);
    assert_int_equal(key_file_decode(&bad, file, length, secret), KEY_FILE_MALFORMED);
    bad = good;
    bad.slots[0].kind = KEY_SLOT_NOTHING;
    length = key_file_encode(file, &bad, secret);
    assert_int_equal(key_file_decode(&bad, file, length, secret), KEY_FILE_MALFORMED);
    bad = good;
    bad.slot_count = 1;
    bad.slots[0].kind = 3;
    length = key_file_encode(file, &bad, secret);
    assert_int_equal(key_file_decode(&bad, file, length, secret), KEY_FILE_MALFORMED);
}

static void other_versions_are_told_apart(void **state)
{
    (void)state;
    uint8_t file[KEY_FILE_MAX];
    struct key_record record;
    size_t length = unhex(file, sizeof file, bound_vector);
    file[8] = 2;
    assert_int_equal(key_file_decode(&record, file, length, secret), KEY_FILE_VERSION);
    file[0] = 'X';
    assert_int_equal(key_file_decode(&record, file, length, secret), KEY_FILE_FOREIGN);
    assert_int_equal(key_file_decode(&record, file, 0, secret), KEY_FILE_FOREIGN);
}

static void other_secret_is_not_genuine(void **state)
{
    (void)state;
    uint8_t file[KEY_FILE_MAX], other[INSTALL_SECRET_SIZE];
    struct key_record record;
    size_t length = unhex(file, sizeof file, bound_vector);
    count_up(other, sizeof other, 0x21);
    assert_int_equal(key_file_decode(&record, file, length, other), KEY_FILE_NOT_GENUINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(install_secret_agrees_with_the_page),
        cmocka_unit_test(bound_file_agrees_with_the_page),
        cmocka_unit_test(unbound_file_agrees_with_the_page),
        cmocka_unit_test(every_damage_is_seen),
        cmocka_unit_test(impossible_fields_are_refused),
        cmocka_unit_test(other_versions_are_told_apart),
        cmocka_unit_test(other_secret_is_not_genuine),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, set_up, NULL);
}

#include "machine_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

/* The vector of docs/wire.md, whose public key is that of the seed 00, 01, ... 1f. */
static void agrees_with_the_wire(void **state)
{
    (void)state;
    uint8_t key[MACHINE_PUBLIC_KEY_SIZE], id[MACHINE_ID_SIZE];
    assert_int_equal(
        sodium_hex2bin(key, sizeof key,
                       "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8", 64, NULL,
                       NULL, NULL),
        0);
    machine_id(id, key);
    char text[MACHINE_ID_TEXT_SIZE], print[MACHINE_FINGERPRINT_SIZE];
    machine_id_text(text, id);
    assert_string_equal(text, "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c");
    machine_fingerprint(print, key);
    assert_string_equal(print, "ISF7-WFRS-LWN2-BRRA-RRLM-64Z4-QSUP-6ZLG");
    assert_int_equal(strlen(print), MACHINE_FINGERPRINT_SIZE - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_the_wire)};
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}

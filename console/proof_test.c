/* The vectors of docs/wire.md, and what must not verify. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <sodium.h>

#include "proof.h"

static void from_hex(uint8_t *out, size_t length, const char *text)
{
    size_t got;
    assert_int_equal(sodium_hex2bin(out, length, text, strlen(text), NULL, &got, NULL), 0);
    assert_int_equal(got, length);
}

static void count_up(uint8_t out[32], uint8_t first)
{
    for (unsigned i = 0; i < 32; i++)
        out[i] = (uint8_t)(first + i);
}

static uint8_t key[32], challenge[32], exporter[32], signature[64];

static int set_up(void **state)
{
    (void)state;
    from_hex(key, 32, "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8");
    count_up(challenge, 0x40);
    count_up(exporter, 0x80);
    from_hex(signature, 64,
             "66afcfef5896cde0b9c5d8e584f57f69b93dda1da72ef567a76cb5f65024b218"
             "8452a3176edef478b1a43044a9ea831841ef4f6c17e3fb7ab3eef6bf01060e03");
    return 0;
}

static void identities(void **state)
{
    (void)state;
    uint8_t id[32], expected[32];
    char text[PROOF_FINGERPRINT_TEXT];
    from_hex(expected, 32, "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c");
    proof_machine_id(id, key);
    assert_memory_equal(id, expected, 32);
    proof_fingerprint(text, key);
    assert_string_equal(text, "ISF7-WFRS-LWN2-BRRA-RRLM-64Z4-QSUP-6ZLG");
}

static void fingerprints_are_compared_whole(void **state)
{
    (void)state;
    assert_true(proof_fingerprint_matches("ISF7-WFRS-LWN2-BRRA-RRLM-64Z4-QSUP-6ZLG", key));
    assert_true(proof_fingerprint_matches(" isf7wfrs lwn2brra\trrlm64z4 qsup6zlg\n", key));
    assert_false(proof_fingerprint_matches("ISF7-WFRS-LWN2-BRRA-RRLM-64Z4-QSUP-6ZLH", key));
    assert_false(proof_fingerprint_matches("ISF7-WFRS-LWN2-BRRA-RRLM-64Z4-QSUP-6ZL", key));
    assert_false(proof_fingerprint_matches("ISF7-WFRS-LWN2-BRRA-RRLM-64Z4-QSUP-6ZLGA", key));
    assert_false(proof_fingerprint_matches("", key));
}

static void console_auth(void **state)
{
    (void)state;
    assert_true(proof_console_auth(signature, key, "console.example.org", challenge, exporter));
    assert_false(proof_console_auth(signature, key, "console.example.orh", challenge, exporter));
    assert_false(proof_console_auth(signature, key, "console.example.or", challenge, exporter));
    uint8_t *parts[] = {signature, key, challenge, exporter};
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned bit = 0; bit < 256; bit++) {
            parts[i][bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_false(
                proof_console_auth(signature, key, "console.example.org", challenge, exporter));
            parts[i][bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
    char host[300];
    memset(host, 'a', sizeof(host));
    host[254] = '\0';
    assert_false(proof_console_auth(signature, key, host, challenge, exporter));
}

static void bundle_origin(void **state)
{
    (void)state;
    uint8_t ticket[16], digest[32], origin[64];
    from_hex(ticket, 16, "00112233445566778899aabbccddeeff");
    from_hex(digest, 32, "4a8c560a2f3cccf2c7d29f31a0a8c84e7ae8f22a96efc0baa90be64de16bd6a5");
    from_hex(origin, 64,
             "87439e33fb7f115517f67515edd3e2b4585ce5f3dda2b6db1892cc437730e6c4"
             "3e224eae81a293df3693c2a850be21124ba8977b1bf2a331eab7b072e64ea406");
    const uint64_t when = UINT64_C(1790000000000);
    assert_true(proof_bundle_origin(origin, key, ticket, digest, 262149, when));
    assert_false(proof_bundle_origin(origin, key, ticket, digest, 262150, when));
    assert_false(proof_bundle_origin(origin, key, ticket, digest, 262149, when + 1));
    assert_false(proof_bundle_origin(origin, key, digest, digest, 262149, when));
    assert_false(proof_bundle_origin(origin, key, ticket, key, 262149, when));
    assert_false(proof_bundle_origin(signature, key, ticket, digest, 262149, when));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(identities, set_up),
        cmocka_unit_test_setup(fingerprints_are_compared_whole, set_up),
        cmocka_unit_test_setup(console_auth, set_up),
        cmocka_unit_test_setup(bundle_origin, set_up),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

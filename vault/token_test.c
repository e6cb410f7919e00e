#include "token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "es256.h"
#include "token_sample.h"
#include "words.h"

#define assert_decision(is, is_to_be)                                                              \
    assert_string_equal(decision_word(is), decision_word(is_to_be))

static struct token_verifier *verifier; /* of all sample keys */
static struct token token;
static char text[TOKEN_BYTES_MAX + 1];
static char inner[TOKEN_BYTES_MAX + 1];

static int set_up(void **state)
{
    (void)state;
    struct command_keys table;
    if (sodium_init() < 0)
        return -1;
    sample_table(&table, SAMPLE_KEYS);
    return token_verifier_new(&verifier, &table);
}

static int tear_down(void **state)
{
    (void)state;
    verifier = token_verifier_free(verifier);
    return 0;
}

/* From the heap, in exactly as many bytes. */
static ipc_Decision verify_bytes(const void *bytes, size_t length, uint32_t revoked)
{
    uint8_t *copy = malloc(length ? length : 1);
    memcpy(copy, bytes, length);
    ipc_Decision decision = token_verify(verifier, &token, copy, length, revoked);
    free(copy);
    return decision;
}

static ipc_Decision verify_payload(enum sample_key key, const char *payload)
{
    return verify_bytes(text, sample_sign(text, key, payload, strlen(payload)), 0);
}

static void accepts(void **state)
{
    (void)state;
    uint8_t digest[crypto_hash_sha256_BYTES];
    size_t length = sample_sign(text, SAMPLE_DIAGNOSTIC, sample_payload("diagnostic"),
                                strlen(sample_payload("diagnostic")));
    assert_decision(verify_bytes(text, length, 0), ipc_DECISION_ACCEPTED);
    crypto_hash_sha256(digest, (const uint8_t *)text, length);
    assert_memory_equal(token.id, digest, sizeof token.id);
    assert_int_equal(token.known, TOKEN_COMMAND);
    assert_int_equal(token.key, SAMPLE_DIAGNOSTIC);
    assert_string_equal(token.kid, "ops-1");
    assert_int_equal(token.jti[15], 0xff);
    assert_int_equal(token.seq, 1);
    assert_int_equal(token.profile, ipc_PROFILE_DIAGNOSTIC);
    assert_int_equal(token.argc, 2);
    assert_string_equal(token.argv[1], "-u");
    assert_int_equal(token.time_ms, TOKEN_TIME_MS_DEFAULT);
    assert_int_equal(token.output_bytes, TOKEN_OUTPUT_BYTES_DEFAULT);
    assert_null(token.script);
    assert_null(token.input);
    assert_string_equal(token.summary, "/usr/bin/id -u");
}

/* Each bit of each byte, and each byte left out or doubled. */
static void no_byte_may_differ(void **state)
{
    (void)state;
    const char *payload = sample_payload("diagnostic");
    size_t length = sample_sign(text, SAMPLE_DIAGNOSTIC, payload, strlen(payload));
    for (size_t i = 0; i < length; i++) {
        for (int bit = 0; bit < 8; bit++) {
            text[i] ^= (char)(1 << bit);
            ipc_Decision decision = verify_bytes(text, length, 0);
            assert_true(decision == ipc_DECISION_MALFORMED || decision == ipc_DECISION_HEADER ||
                        decision == ipc_DECISION_SIGNATURE);
            assert_int_equal(token.known, TOKEN_UNKNOWN);
            text[i] ^= (char)(1 << bit);
        }
        memcpy(inner, text, i);
        memcpy(inner + i, text + i + 1, length - i - 1);
        assert_int_not_equal(verify_bytes(inner, length - 1, 0), ipc_DECISION_ACCEPTED);
        memcpy(inner + i + 1, text + i, length - i);
        inner[i] = text[i];
        assert_int_not_equal(verify_bytes(inner, length + 1, 0), ipc_DECISION_ACCEPTED);
        assert_int_not_equal(verify_bytes(text, i, 0), ipc_DECISION_ACCEPTED);
    }
    assert_decision(verify_bytes(text, length, 0), ipc_DECISION_ACCEPTED);
}

static void a_build_without_keys(void **state)
{
    (void)state;
    struct command_keys table;
    struct token_verifier *empty;
    sample_table(&table, 0);
    assert_int_equal(token_verifier_new(&empty, &table), 0);
    assert_decision(token_verify(empty, &token, (const uint8_t *)"x", 1, 0), ipc_DECISION_NO_KEYS);
    token_verifier_free(empty);
    table.count = 1;
    assert_int_equal(token_verifier_new(&empty, &table), -EINVAL);
}

static void lengths(void **state)
{
    (void)state;
    static uint8_t bytes[TOKEN_BYTES_MAX + 1];
    memset(bytes, 'A', sizeof bytes);
    assert_decision(verify_bytes(bytes, sizeof bytes, 0), ipc_DECISION_TOO_LONG);
    assert_decision(verify_bytes(bytes, sizeof bytes - 1, 0), ipc_DECISION_MALFORMED);
    assert_decision(verify_bytes(bytes, 0, 0), ipc_DECISION_MALFORMED);
    bytes[4] = bytes[TOKEN_BYTES_MAX - 87] = '.';
    assert_decision(verify_bytes(bytes, TOKEN_BYTES_MAX, 0), ipc_DECISION_HEADER);
}

/* A token of the greatest length, or a few bytes less: nearly all of it is standard input. */
static void the_longest_token(void **state)
{
    (void)state;
    static char payload[TOKEN_PAYLOAD_MAX];
    const char *base = sample_payload("diagnostic");
    const size_t others = 39 + 86 + 2; /* header, signature, dots */
    size_t used = strlen(base) - 1;
    memcpy(payload, base, used);
    used += (size_t)sprintf(payload + used, ",\"stdin\":\"");
    size_t fill = ((TOKEN_BYTES_MAX - others) / 4 * 3 - used - 2) / 4 * 4;
    memset(payload + used, 'A', fill);
    memcpy(payload + used + fill, "\"}", 2);
    size_t length = sample_sign(text, SAMPLE_DIAGNOSTIC, payload, used + fill + 2);
    assert_in_range(length, TOKEN_BYTES_MAX - 16, TOKEN_BYTES_MAX);
    assert_decision(verify_bytes(text, length, 0), ipc_DECISION_ACCEPTED);
    assert_int_equal(token.input_length, fill / 4 * 3);
}

static void a_revoked_key(void **state)
{
    (void)state;
    const char *payload = sample_payload("diagnostic");
    size_t length = sample_sign(text, SAMPLE_DIAGNOSTIC, payload, strlen(payload));
    assert_decision(verify_bytes(text, length, 1u << SAMPLE_DIAGNOSTIC), ipc_DECISION_REVOKED);
    assert_int_equal(token.known, TOKEN_AUTHENTIC);
    assert_string_equal(token.kid, "ops-1");
    assert_decision(verify_bytes(text, length, ~(1u << SAMPLE_DIAGNOSTIC)), ipc_DECISION_ACCEPTED);
    text[length - 1] = text[length - 1] == 'A' ? 'Q' : 'A';
    text[length - 5] ^= 1;
    assert_int_not_equal(verify_bytes(text, length, 1), ipc_DECISION_REVOKED);
}

static void profiles_are_capped(void **state)
{
    (void)state;
    assert_decision(verify_payload(SAMPLE_DIAGNOSTIC, sample_payload("user")),
                    ipc_DECISION_PROFILE);
    assert_int_equal(token.known, TOKEN_COMMAND);
    assert_decision(verify_payload(SAMPLE_ADMIN, sample_payload("user")), ipc_DECISION_ACCEPTED);
    assert_decision(verify_payload(SAMPLE_ADMIN, sample_payload("admin")),
                    ipc_DECISION_COUNTERSIGNATURE);
    assert_decision(verify_payload(SAMPLE_CUSTOMER, sample_payload("diagnostic")),
                    ipc_DECISION_COUNTERSIGNATURE);
}

static ipc_Decision verify_twice(enum sample_key outer, enum sample_key key, const char *payload,
                                 uint32_t revoked)
{
    size_t length = sample_sign(inner, key, payload, strlen(payload));
    return verify_bytes(text, sample_sign(text, outer, inner, length), revoked);
}

static void countersigned(void **state)
{
    (void)state;
    const char *payload = sample_payload("admin");
    assert_decision(verify_twice(SAMPLE_CUSTOMER, SAMPLE_ADMIN, payload, 0), ipc_DECISION_ACCEPTED);
    assert_string_equal(token.kid, "ops-2");
    assert_int_equal(token.key, SAMPLE_ADMIN);
    assert_decision(verify_twice(SAMPLE_CUSTOMER, SAMPLE_DIAGNOSTIC, payload, 0),
                    ipc_DECISION_PROFILE);
    assert_decision(verify_twice(SAMPLE_ADMIN, SAMPLE_CUSTOMER, payload, 0), ipc_DECISION_PAYLOAD);
    assert_decision(verify_twice(SAMPLE_ADMIN, SAMPLE_ADMIN, payload, 0), ipc_DECISION_PAYLOAD);
    assert_decision(verify_twice(SAMPLE_CUSTOMER, SAMPLE_CUSTOMER, payload, 0),
                    ipc_DECISION_COUNTERSIGNATURE);
    assert_int_equal(token.known, TOKEN_AUTHENTIC);
    assert_decision(verify_twice(SAMPLE_CUSTOMER, SAMPLE_ADMIN, payload, 1u << SAMPLE_CUSTOMER),
                    ipc_DECISION_REVOKED);
    assert_string_equal(token.kid, "customer");
    assert_decision(verify_twice(SAMPLE_CUSTOMER, SAMPLE_ADMIN, payload, 1u << SAMPLE_ADMIN),
                    ipc_DECISION_REVOKED);
    assert_string_equal(token.kid, "ops-2");
    /* A revoked countersigner does not make its signature needless. */
    assert_int_equal(verify_payload(SAMPLE_ADMIN, payload), ipc_DECISION_COUNTERSIGNATURE);
}

static void a_countersigned_token_must_be_authentic(void **state)
{
    (void)state;
    const char *payload = sample_payload("admin");
    size_t length = sample_sign(inner, SAMPLE_ADMIN, payload, strlen(payload));
    inner[length - 10] = inner[length - 10] == 'A' ? 'B' : 'A';
    assert_decision(verify_bytes(text, sample_sign(text, SAMPLE_CUSTOMER, inner, length), 0),
                    ipc_DECISION_SIGNATURE);
    assert_int_equal(token.known, TOKEN_UNKNOWN);
    assert_decision(
        verify_bytes(text, sample_sign(text, SAMPLE_CUSTOMER, inner + 1, length - 1), 0),
        ipc_DECISION_MALFORMED);
    inner[4] ^= 1;
    assert_decision(verify_bytes(text, sample_sign(text, SAMPLE_CUSTOMER, inner, length), 0),
                    ipc_DECISION_HEADER);
}

static void revocations(void **state)
{
    (void)state;
    static const char self[] =
        "{\"typ\":\"cloister-revocation\",\"ver\":1,\"revoked\":[\"ops-1\"]}";
    static const char many[] = "{\"typ\":\"cloister-revocation\",\"ver\":1,"
                               "\"revoked\":[\"customer\",\"unknown\",\"ops-2\"]}";
    assert_decision(verify_payload(SAMPLE_DIAGNOSTIC, self), ipc_DECISION_REVOCATION);
    assert_int_equal(token.known, TOKEN_REVOCATION);
    assert_int_equal(token.revoked_mask, 1u << SAMPLE_DIAGNOSTIC);
    assert_decision(verify_payload(SAMPLE_ADMIN, many), ipc_DECISION_REVOCATION);
    assert_int_equal(token.revoked_count, 3);
    assert_string_equal(token.revoked_kids[1], "unknown");
    assert_int_equal(token.revoked_mask, 1u << SAMPLE_CUSTOMER | 1u << SAMPLE_ADMIN);
    assert_decision(verify_payload(SAMPLE_DIAGNOSTIC, many), ipc_DECISION_PROFILE);
    assert_decision(verify_payload(SAMPLE_CUSTOMER, self), ipc_DECISION_PROFILE);
    assert_decision(verify_twice(SAMPLE_CUSTOMER, SAMPLE_ADMIN, many, 0), ipc_DECISION_PAYLOAD);
}

static void audiences(void **state)
{
    (void)state;
    static const char machine[] =
        "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c";
    static const char other[] = "66475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c";
    const char *const groups[] = {"other", "desks"};
    const char *const by_id[] = {"group:none", machine};
    assert_int_equal(verify_payload(SAMPLE_DIAGNOSTIC, sample_payload("diagnostic")),
                     ipc_DECISION_ACCEPTED);
    assert_true(token_is_for(&token, machine, groups, 2));
    assert_false(token_is_for(&token, machine, groups, 1));
    assert_false(token_is_for(&token, "group:desks", NULL, 0) &&
                 token_is_for(&token, machine, NULL, 0));
    memcpy(token.audience, by_id, sizeof by_id);
    token.audience_count = 2;
    assert_true(token_is_for(&token, machine, NULL, 0));
    assert_false(token_is_for(&token, other, groups, 2));
    assert_false(token_is_for(&token, other, &by_id[1], 1)); /* an id is no group's name */
}

static ipc_Decision validity_of(uint64_t nbf, uint64_t exp)
{
    token.nbf = nbf;
    token.exp = exp;
    return token_validity(&token);
}

static void validity(void **state)
{
    (void)state;
    const uint64_t most = (UINT64_C(1) << 53) - 1;
    assert_int_equal(validity_of(5, 6), ipc_DECISION_ACCEPTED);
    assert_int_equal(validity_of(5, 5), ipc_DECISION_VALIDITY);
    assert_int_equal(validity_of(6, 5), ipc_DECISION_VALIDITY);
    assert_int_equal(validity_of(5, 5 + 604800), ipc_DECISION_ACCEPTED);
    assert_int_equal(validity_of(5, 6 + 604800), ipc_DECISION_VALIDITY);
    assert_int_equal(validity_of(0, most), ipc_DECISION_VALIDITY);
    assert_int_equal(validity_of(most, 0), ipc_DECISION_VALIDITY);
    assert_int_equal(validity_of(UINT64_MAX - 1, UINT64_MAX), ipc_DECISION_ACCEPTED);
}

static void window(void **state)
{
    (void)state;
    token.nbf = 1790000000;
    token.exp = 1790000060;
    assert_int_equal(token_window(&token, 1789999999999), ipc_DECISION_NOT_YET_VALID);
    assert_int_equal(token_window(&token, 1790000000000), ipc_DECISION_ACCEPTED);
    assert_int_equal(token_window(&token, 1790000059999), ipc_DECISION_ACCEPTED);
    assert_int_equal(token_window(&token, 1790000060000), ipc_DECISION_EXPIRED);
    assert_int_equal(token_window(&token, UINT64_MAX), ipc_DECISION_EXPIRED);
    token.nbf = token.exp = UINT64_MAX;
    assert_int_equal(token_window(&token, UINT64_MAX), ipc_DECISION_NOT_YET_VALID);
}

static void orders(void **state)
{
    (void)state;
    static uint8_t bytes[ORDER_MAX];
    static struct order order, back;
    assert_int_equal(verify_payload(SAMPLE_DIAGNOSTIC, sample_payload("diagnostic")),
                     ipc_DECISION_ACCEPTED);
    token_order(&order, &token, 3, 9);
    size_t length = order_write(bytes, sizeof bytes, &order);
    assert_int_equal(order_read(&back, bytes, length), ORDER_OK);
    assert_int_equal(back.slot, 3);
    assert_int_equal(back.generation, 9);
    assert_int_equal(back.profile, 1);
    assert_memory_equal(back.token, token.id, sizeof token.id);
    assert_int_equal(back.argc, 2);
    assert_string_equal(back.argv[0], "/usr/bin/id");
    assert_int_equal(back.time_ms, TOKEN_TIME_MS_DEFAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),
        cmocka_unit_test(no_byte_may_differ),
        cmocka_unit_test(a_build_without_keys),
        cmocka_unit_test(lengths),
        cmocka_unit_test(the_longest_token),
        cmocka_unit_test(a_revoked_key),
        cmocka_unit_test(profiles_are_capped),
        cmocka_unit_test(countersigned),
        cmocka_unit_test(a_countersigned_token_must_be_authentic),
        cmocka_unit_test(revocations),
        cmocka_unit_test(audiences),
        cmocka_unit_test(validity),
        cmocka_unit_test(window),
        cmocka_unit_test(orders),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

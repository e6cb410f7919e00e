/* Receipts, the compact form below them, and what tokens claim. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "claims.h"
#include "jws.h"
#include "message.h"
#include "receipt.h"

#define RAN                                                                                        \
    "\"decision\":\"run\",\"reason\":\"\",\"limit\":\"\",\"stdout_bytes\":3,\"stdout_dropped\":0," \
    "\"stdout_sha256\":\"%064d\",\"stderr_bytes\":0,\"stderr_dropped\":7,"                         \
    "\"stderr_sha256\":\"%064d\",\"accepted_ms\":1,\"started_ms\":2,\"ended_ms\":3"

static uint8_t public_key[32], secret[64], machine[32];
static const uint8_t token[16] = {0xab, 0xcd};
static char machine_hex[65], token_hex[33], text[2 * MESSAGE_RECEIPT_MAX];
static struct receipt receipt;

static int set_up(void **state)
{
    static const uint8_t seed[32] = {5};
    (void)state;
    crypto_sign_seed_keypair(public_key, secret, seed);
    crypto_hash_sha256(machine, public_key, sizeof(public_key));
    sodium_bin2hex(machine_hex, sizeof(machine_hex), machine, sizeof(machine));
    sodium_bin2hex(token_hex, sizeof(token_hex), token, sizeof(token));
    return 0;
}

static void append_base64(const void *data, size_t length)
{
    size_t used = strlen(text);
    sodium_bin2base64(text + used, sizeof(text) - used, data, length,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* Writes a JWS of these two parts by the machine's key to `text`. */
static void sign(const char *header, const char *payload)
{
    uint8_t signature[64];
    text[0] = '\0';
    append_base64(header, strlen(header));
    strcat(text, ".");
    append_base64(payload, strlen(payload));
    crypto_sign_detached(signature, NULL, (const uint8_t *)text, strlen(text), secret);
    strcat(text, ".");
    append_base64(signature, sizeof(signature));
}

/* A receipt with these members after the four that every receipt has. */
static void make(const char *members)
{
    char header[128], payload[2048];
    snprintf(header, sizeof(header), "{\"alg\":\"EdDSA\",\"kid\":\"%s\"}", machine_hex);
    snprintf(payload, sizeof(payload),
             "{\"typ\":\"cloister-receipt\",\"ver\":1,\"machine\":\"%s\",\"token\":\"%s\",%s}",
             machine_hex, token_hex, members);
    sign(header, payload);
}

static void make_run(const char *end)
{
    char members[1024];
    int n = snprintf(members, sizeof(members), RAN, 1, 2);
    snprintf(members + n, sizeof(members) - (size_t)n, ",%s", end);
    make(members);
}

static int check(void)
{
    return receipt_check(&receipt, text, machine, public_key, token);
}

static void assert_described(const char *expected)
{
    char words[128];
    assert_int_equal(check(), 0);
    assert_string_equal(receipt_describe(words, sizeof(words), &receipt), expected);
}

static void a_command_that_ran(void **state)
{
    (void)state;
    make_run("\"exit\":7,\"jti\":\"x\",\"future\":[1]");
    assert_described("exit 7");
    assert_int_equal(receipt.decision, RECEIPT_RUN);
    assert_int_equal(receipt.stream[0].bytes, 3);
    assert_int_equal(receipt.stream[1].dropped, 7);
    assert_int_equal(receipt.stream[1].sha256[31], 2);
    assert_int_equal(receipt.ended_ms, 3);
    make_run("\"signal\":9");
    assert_described("signal 9");
    make_run("\"errno\":2");
    assert_described("errno 2");
}

static void a_command_that_did_not(void **state)
{
    (void)state;
    make("\"decision\":\"not_run\",\"reason\":\"no_session\"");
    assert_described("not run: no_session");
    make("\"decision\":\"refused\",\"reason\":\"expired\"");
    assert_described("refused: expired");
    make("\"decision\":\"unknown\",\"reason\":\"runner_died\",\"started_ms\":5");
    assert_described("unknown: runner_died");
    assert_int_equal(receipt.started_ms, 5);
}

static void members_that_are_wrong(void **state)
{
    (void)state;
    static const char *const ends[] = {"\"x\":1",
                                       "\"exit\":256",
                                       "\"exit\":-1",
                                       "\"exit\":\"0\"",
                                       "\"exit\":0,\"signal\":1",
                                       "\"exit\":0,\"exit\":0"};
    static const char *const members[] = {
        "\"decision\":\"perhaps\",\"reason\":\"\"",
        "\"decision\":\"not_run\"",
        "\"decision\":\"not_run\",\"reason\":\"\\u001b[2J\"",
        "\"decision\":\"not_run\",\"reason\":\"x\",\"ended_ms\":-1",
        "\"decision\":\"not_run\",\"reason\":\"x\",\"limit\":\"A\"",
        "\"decision\":\"run\",\"reason\":\"\",\"exit\":0",
    };
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        make_run(ends[i]);
        assert_int_equal(check(), RECEIPT_PAYLOAD);
    }
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        make(members[i]);
        assert_int_equal(check(), RECEIPT_PAYLOAD);
    }
}

static void every_bit_counts(void **state)
{
    (void)state;
    make_run("\"exit\":0");
    for (size_t i = 0; text[i]; i++) {
        for (int bit = 0; bit < 8; bit++) {
            char flipped = (char)(text[i] ^ 1 << bit);
            if (!flipped)
                continue;
            char was = text[i];
            text[i] = flipped;
            assert_int_not_equal(check(), 0);
            text[i] = was;
        }
    }
    assert_int_equal(check(), 0);
}

static void whose_it_is(void **state)
{
    (void)state;
    uint8_t other[32], key[32], other_secret[64];
    static const uint8_t other_token[16] = {1};
    crypto_sign_keypair(key, other_secret);
    crypto_hash_sha256(other, key, sizeof(key));
    make_run("\"exit\":0");
    assert_int_equal(receipt_check(&receipt, text, machine, key, token), RECEIPT_SIGNATURE);
    assert_int_equal(receipt_check(&receipt, text, other, public_key, token), RECEIPT_HEADER);
    assert_int_equal(receipt_check(&receipt, text, machine, public_key, other_token),
                     RECEIPT_TOKEN);
    sodium_bin2hex(machine_hex, sizeof(machine_hex), other, sizeof(other));
    make_run("\"exit\":0");
    set_up(NULL);
    assert_int_equal(check(), RECEIPT_HEADER);
}

static void forms(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", ".", "..", "a.b", ".a.b", "a..b", "a.b.", "a.b.c.d"};
    struct jws_part parts[3];
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(jws_split(parts, wrong[i], strlen(wrong[i])));
    assert_true(jws_split(parts, "YQ.Yg.Yw", 8));
    assert_int_equal(parts[2].text[1], 'w');
    memset(text, 'A', MESSAGE_RECEIPT_MAX + 1);
    text[MESSAGE_RECEIPT_MAX + 1] = '\0';
    text[100] = text[200] = '.';
    assert_int_equal(check(), RECEIPT_MALFORMED);
}

static void canonical_base64url(void **state)
{
    (void)state;
    /* The second has a bit set that belongs to no byte; 0xAB and 0xAF pass for '+' and '/' in some
     * decoders. */
    static const char *const wrong[] = {"YQ==", "YR", "Y", "Y+", "Y/", "Y\xab", "Y\xaf", "Y Q", ""};
    uint8_t out[4];
    size_t length;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct jws_part part = {wrong[i], strlen(wrong[i])};
        assert_false(jws_decode(out, sizeof(out), &length, &part));
    }
    struct jws_part part = {"YQ", 2};
    assert_true(jws_decode(out, sizeof(out), &length, &part));
    assert_int_equal(length, 1);
    struct jws_part longer = {"YWFhYWE", 7};
    assert_false(jws_decode(out, sizeof(out), &length, &longer));
}

static void claims(void **state)
{
    (void)state;
    struct claims c;
    sign(
        "{\"alg\":\"ES256\",\"kid\":\"desk-1\"}",
        "{\"jti\":\"0011\",\"profile\":\"user\",\"exp\":1790000000,\"argv\":[\"/bin/ls\",\"-l\"]}");
    claims_read(&c, text, strlen(text));
    assert_true(c.compact);
    assert_string_equal(c.kid, "desk-1");
    assert_string_equal(c.id, "0011");
    assert_string_equal(c.profile, "user");
    assert_string_equal(c.what, "/bin/ls -l");
    assert_int_equal(c.expires_s, 1790000000);
    char inner[sizeof(text)];
    strcpy(inner, text);
    sign("{\"alg\":\"ES256\",\"kid\":\"counter\"}", inner);
    claims_read(&c, text, strlen(text));
    assert_string_equal(c.kid, "desk-1");
    assert_string_equal(c.what, "/bin/ls -l");
    sign("{}", "{\"revoked\":[\"old\",1]}");
    claims_read(&c, text, strlen(text));
    assert_string_equal(c.what, "revokes old ?");
    sign("[]", "{\"argv\":1,\"exp\":\"never\",\"jti\":[]}");
    claims_read(&c, text, strlen(text));
    assert_true(c.compact);
    assert_string_equal(c.what, "");
    claims_read(&c, "{\"payload\":\"x\"}", 15);
    assert_false(c.compact);
}

static void long_claims_are_cut(void **state)
{
    (void)state;
    struct claims c;
    char payload[2048];
    snprintf(payload, sizeof(payload), "{\"argv\":[\"%0500d\",\"%0500d\"],\"profile\":\"%0500d\"}",
             1, 2, 3);
    sign("{}", payload);
    claims_read(&c, text, strlen(text));
    assert_int_equal(strlen(c.what), sizeof(c.what) - 1);
    assert_int_equal(strlen(c.profile), sizeof(c.profile) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_command_that_ran, set_up),
        cmocka_unit_test_setup(a_command_that_did_not, set_up),
        cmocka_unit_test_setup(members_that_are_wrong, set_up),
        cmocka_unit_test_setup(every_bit_counts, set_up),
        cmocka_unit_test_setup(whose_it_is, set_up),
        cmocka_unit_test_setup(forms, set_up),
        cmocka_unit_test_setup(canonical_base64url, set_up),
        cmocka_unit_test_setup(claims, set_up),
        cmocka_unit_test_setup(long_claims_are_cut, set_up),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

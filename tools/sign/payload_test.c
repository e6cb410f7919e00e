/* Which payloads are commands and revocations: docs/commands.md, member by member. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <stdio.h>

#include "payload.h"

#define MACHINE "0000000000000000000000000000000000000000000000000000000000000007"

/* A good command, of which each test changes one member. */
static json_t *good(void)
{
    return json_pack("{s:s, s:i, s:s, s:[s], s:i, s:i, s:i, s:s, s:[s]}", "typ", "cloister-command",
                     "ver", 1, "jti", "00000000000000000000000000000001", "aud", MACHINE, "seq", 1,
                     "nbf", 100, "exp", 200, "profile", "diagnostic", "argv", "/bin/true");
}

static const char *fault_of(json_t *root)
{
    struct payload_command command;
    char *text = json_dumps(root, JSON_COMPACT);
    const char *fault = payload_read_command(&command, text, strlen(text));
    if (!fault)
        payload_free_command(&command);
    free(text);
    json_decref(root);
    return fault;
}

/* With `name` as this JSON; NULL: without it. */
static const char *with(const char *name, const char *value)
{
    json_t *root = good();
    if (value)
        json_object_set_new(root, name, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(root, name);
    return fault_of(root);
}

static void test_good(void **state)
{
    struct payload_command command;
    (void)state;
    json_t *root = good();
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    assert_null(payload_read_command(&command, text, strlen(text)));
    assert_int_equal(command.seq, 1);
    assert_int_equal(command.profile, 1);
    assert_int_equal(command.time_ms, 60000);
    assert_int_equal(command.output_bytes, 1048576);
    char hex[DIGEST_HEX_SIZE];
    digest_hex(hex, command.digest, DIGEST_SIZE); /* printf '/bin/true\0' | sha256sum */
    assert_string_equal(hex, "9e44697a1718b7986fd04a1af01205543efa0e1988c32ba2131bb27a69398251");
    payload_free_command(&command);
    free(text);
}

static void test_allowed(void **state)
{
    static const char *const pairs[][2] = {{"aud", "[\"group:x\", \"" MACHINE "\"]"},
                                           {"seq", "9007199254740991"},
                                           {"profile", "\"admin\""},
                                           {"argv", "[\"/x\", \"\", \"\\n\\u00fc\"]"},
                                           {"stdin", "\"AA\""},
                                           {"stdin", "\"\""},
                                           {"env", "{}"},
                                           {"env", "{\"aZ_9\": \"=\"}"},
                                           {"time_ms", "100"},
                                           {"time_ms", "3600000"},
                                           {"output_bytes", "0"},
                                           {"output_bytes", "1073741824"}};
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        assert_null(with(pairs[i][0], pairs[i][1]));
}

static void test_missing(void **state)
{
    static const char *const names[] = {"typ", "ver", "jti",     "aud", "seq",
                                        "nbf", "exp", "profile", "argv"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_non_null(with(names[i], NULL));
}

static void test_refused(void **state)
{
    static const char *const pairs[][2] = {{"typ", "\"cloister-revocation\""},
                                           {"ver", "2"},
                                           {"ver", "1.0"},
                                           {"ver", "\"1\""},
                                           {"jti", "\"0000000000000000000000000000000A\""},
                                           {"jti", "\"0\""},
                                           {"aud", "[]"},
                                           {"aud", "\"" MACHINE "\""},
                                           {"aud", "[\"group:\"]"},
                                           {"aud", "[\"desk-17\"]"},
                                           {"aud", "[7]"},
                                           {"seq", "0"},
                                           {"seq", "-1"},
                                           {"seq", "1.0"},
                                           {"seq", "9007199254740992"},
                                           {"nbf", "\"100\""},
                                           {"exp", "null"},
                                           {"profile", "\"none\""},
                                           {"profile", "1"},
                                           {"argv", "[]"},
                                           {"argv", "[\"true\"]"},
                                           {"argv", "[\"/bin/true\", 1]"},
                                           {"script", "\"IyEv\""},
                                           {"script_sha256", "\"00\""},
                                           {"args", "[]"},
                                           {"stdin", "\"A\""},
                                           {"stdin", "\"AB\""},
                                           {"stdin", "1"},
                                           {"env", "[]"},
                                           {"env", "{\"\": \"\"}"},
                                           {"env", "{\"1A\": \"\"}"},
                                           {"env", "{\"A-B\": \"\"}"},
                                           {"env", "{\"A\": 1}"},
                                           {"time_ms", "99"},
                                           {"time_ms", "3600001"},
                                           {"output_bytes", "1073741825"},
                                           {"more", "1"}};
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (!with(pairs[i][0], pairs[i][1]))
            fail_msg("%s: %s was let through", pairs[i][0], pairs[i][1]);
}

static void test_no_object(void **state)
{
    static const char *const texts[] = {
        "", "[]", "1", "{}x", "{", "{\"typ\":1,\"typ\":1}", "{\"a\":\"\\u0000\"}"};
    struct payload_command command;
    json_t *list;
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_non_null(payload_read_command(&command, texts[i], strlen(texts[i])));
        assert_non_null(payload_read_revocation(&list, texts[i], strlen(texts[i])));
        assert_null(list);
    }
}

static void test_script(void **state)
{
    (void)state;
    json_t *root = good();
    json_object_del(root, "argv");
    json_object_set_new(root, "script", json_string("IyEvYmluL3NoCg")); /* #!/bin/sh */
    json_object_set_new(
        root, "script_sha256",
        json_string("a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf"));
    json_object_set_new(root, "args", json_pack("[s]", ""));
    json_t *changed = json_deep_copy(root), *plain = json_deep_copy(root),
           *both = json_deep_copy(root);
    assert_null(fault_of(root));
    json_object_set_new(changed, "script", json_string("IyEvYmluL3NoCgo"));
    assert_non_null(fault_of(changed));
    json_object_set_new(plain, "script", json_string("ZWNobwo"));
    assert_non_null(fault_of(plain));
    json_object_set_new(both, "argv", json_pack("[s]", "/bin/true"));
    assert_non_null(fault_of(both));
}

static void test_revocation(void **state)
{
    static const char *const wrong[] = {"[]",
                                        "[\"\"]",
                                        "[\"A\"]",
                                        "[\"a\",\"a\"]",
                                        "\"a\"",
                                        "[1]",
                                        "[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\"]"};
    char text[256];
    json_t *list;
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(text, sizeof(text), "{\"typ\":\"cloister-revocation\",\"ver\":1,\"revoked\":%s}",
                 wrong[i]);
        assert_non_null(payload_read_revocation(&list, text, strlen(text)));
    }
    strcpy(text, "{\"typ\":\"cloister-revocation\",\"ver\":1,\"revoked\":[\"a.b-1_\"]}");
    assert_true(payload_is(text, strlen(text), "cloister-revocation"));
    assert_null(payload_read_revocation(&list, text, strlen(text)));
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),      cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_missing),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_object), cmocka_unit_test(test_script),
        cmocka_unit_test(test_revocation)};
    return cmocka_run_group_tests_name("payload", tests, NULL, NULL);
}

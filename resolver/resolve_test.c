#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "resolve.h"

static void knows_names(void **state)
{
    char label[64 + 1], name[300];

    (void)state;
    assert_true(resolve_is_name("localhost"));
    assert_true(resolve_is_name("console.example.org"));
    assert_true(resolve_is_name("CONSOLE.example.org."));
    assert_true(resolve_is_name("a_b-c.9"));
    assert_false(resolve_is_name(""));
    assert_false(resolve_is_name("."));
    assert_false(resolve_is_name(".a"));
    assert_false(resolve_is_name("a..b"));
    assert_false(resolve_is_name("a.."));
    assert_false(resolve_is_name("a b"));
    assert_false(resolve_is_name("a/b"));
    assert_false(resolve_is_name("a\n"));
    assert_false(resolve_is_name("b\xc3\xbc.de"));
    assert_false(resolve_is_name("127.0.0.1"));
    assert_false(resolve_is_name("::1"));
    assert_false(resolve_is_name("fe80::1%lo"));
    memset(label, 'a', 64);
    label[64] = '\0';
    assert_false(resolve_is_name(label));
    assert_true(resolve_is_name(label + 1));
    snprintf(name, sizeof name, "%s.%s.%s.%s", label + 1, label + 1, label + 1, label + 3);
    assert_int_equal(strlen(name), 253);
    assert_true(resolve_is_name(name));
    snprintf(name, sizeof name, "%s.%s.%s.%s", label + 1, label + 1, label + 1, label + 2);
    assert_false(resolve_is_name(name));
}

static void resolves_from_the_hosts_file(void **state)
{
    static const uint8_t loopback[4] = {127, 0, 0, 1};
    struct resolve_answer answer;
    bool found = false;

    (void)state;
    resolve_setup();
    resolve_name(&answer, "localhost");
    assert_string_equal(answer.error, "");
    assert_true(answer.count > 0 && answer.count <= RESOLVE_ADDRESSES_MAX);
    for (size_t i = 0; i < answer.count; i++)
        found = found || (answer.addresses[i].length == 4 &&
                          memcmp(answer.addresses[i].bytes, loopback, 4) == 0);
    assert_true(found);
}

static void says_why_not(void **state)
{
    struct resolve_answer answer;

    (void)state;
    resolve_name(&answer, "not a name");
    assert_int_equal(answer.count, 0);
    assert_string_equal(answer.error, "not a host name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_names),
        cmocka_unit_test(resolves_from_the_hosts_file),
        cmocka_unit_test(says_why_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

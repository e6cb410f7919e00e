#include "report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>

static const uint8_t grant_key[GRANT_KEY_SIZE] = {1, 2, 3}, order_tag_of[ORDER_TAG_SIZE] = {4, 5};

static ipc_CommandFinished sample(void)
{
    return (ipc_CommandFinished){.number = 7,
                                 .end = ipc_END_EXITED,
                                 .code = 3,
                                 .has_out = true,
                                 .out = {.bytes = 5, .sha256 = {9}, .dropped = 1},
                                 .has_err = true,
                                 .started_ms = 1790000000000,
                                 .ended_ms = 1790000000001};
}

static void what_was_sealed_holds(void **state)
{
    (void)state;
    uint8_t key[REPORT_KEY_SIZE];
    ipc_CommandFinished report = sample();
    report_key(key, grant_key, order_tag_of);
    assert_false(report_holds(&report, key));
    report_seal(&report, key);
    assert_true(report_holds(&report, key));
    report_seal(&report, key); /* its own tag is no part of it */
    assert_true(report_holds(&report, key));
}

/* What a broker could wish to have in the receipt. */
static void what_was_changed_does_not(void **state)
{
    (void)state;
    uint8_t key[REPORT_KEY_SIZE];
    report_key(key, grant_key, order_tag_of);
    ipc_CommandFinished sealed = sample();
    report_seal(&sealed, key);
    ipc_CommandFinished changed[10];
    for (size_t i = 0; i < 10; i++)
        changed[i] = sealed;
    changed[0].code = 0;
    changed[1].end = ipc_END_SIGNALLED;
    changed[2].out.bytes++;
    changed[3].out.sha256[31] ^= 1;
    changed[4].err.sha256[0] = 1;
    changed[5].started_ms--;
    changed[6].ended_ms++;
    changed[7].limit = ipc_LIMIT_TIME;
    changed[8].number++;
    changed[9].tag[0] ^= 1;
    for (size_t i = 0; i < 10; i++)
        assert_false(report_holds(&changed[i], key));
}

static void each_order_has_its_key(void **state)
{
    (void)state;
    uint8_t one[REPORT_KEY_SIZE], other[REPORT_KEY_SIZE], tag[ORDER_TAG_SIZE];
    memcpy(tag, order_tag_of, sizeof tag);
    report_key(one, grant_key, tag);
    tag[31] ^= 1;
    report_key(other, grant_key, tag);
    assert_memory_not_equal(one, other, sizeof one);
    assert_memory_not_equal(one, grant_key, sizeof one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_holds),
        cmocka_unit_test(what_was_changed_does_not),
        cmocka_unit_test(each_order_has_its_key),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("report", tests, NULL, NULL);
}

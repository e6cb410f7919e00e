/* Every value of every enumeration of the schema that is shown has words of its own. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "words.h"

typedef const struct words *lookup(int value);

static void check(lookup *words, int count)
{
    const struct words *unknown = words(count);
    assert_string_equal(unknown->word, "unknown");
    assert_ptr_equal(words(-1), unknown);
    for (int i = 0; i < count; i++) {
        const struct words *w = words(i);
        assert_ptr_not_equal(w, unknown);
        assert_non_null(w->sentence);
        assert_true(strlen(w->sentence) > 0);
        for (const char *c = w->word; *c; c++)
            assert_true(islower((unsigned char)*c) || *c == '_');
        for (int other = 0; other < i; other++) {
            assert_string_not_equal(words(other)->word, w->word);
            assert_string_not_equal(words(other)->sentence, w->sentence);
        }
    }
}

/* The schema's numbers have no gaps, so that ARRAYSIZE counts them. */
#define CASE(name, function, type)                                                                 \
    static const struct words *look_##name(int value)                                              \
    {                                                                                              \
        return function((type)value);                                                              \
    }                                                                                              \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        check(look_##name, _##type##_ARRAYSIZE);                                                   \
    }

CASE(worker_state, words_worker_state, ipc_WorkerState)
CASE(capture_phase, words_capture_phase, ipc_CapturePhase)
CASE(uplink_phase, words_uplink_phase, ipc_UplinkPhase)
CASE(uplink_reason, words_uplink_reason, ipc_UplinkReason)
CASE(key_origin, words_key_origin, ipc_KeyOrigin)
CASE(refusal, words_refusal, ipc_RefusalReason)
CASE(command_profile, words_command_profile, ipc_CommandProfile)
CASE(command_phase, words_command_phase, ipc_CommandPhase)
CASE(decision, words_decision, ipc_Decision)

/* order/words.h, whose name is taken here: the words of docs/commands.md. */
extern const char *decision_word(ipc_Decision decision);
extern const char *profile_word(ipc_CommandProfile profile);

static void test_same_words(void **state)
{
    (void)state;
    for (unsigned i = 0; i < _ipc_Decision_ARRAYSIZE; i++)
        assert_string_equal(words_decision((ipc_Decision)i)->word, decision_word((ipc_Decision)i));
    for (unsigned i = 0; i < _ipc_CommandProfile_ARRAYSIZE; i++)
        assert_string_equal(words_command_profile((ipc_CommandProfile)i)->word,
                            profile_word((ipc_CommandProfile)i));
}

/* Whoever reads why the machine is not connected also reads what to do. */
static void test_advice(void **state)
{
    (void)state;
    assert_non_null(words_uplink_reason(ipc_UPLINK_TLS_ISSUER)->advice);
    assert_non_null(words_uplink_phase(ipc_UPLINK_PENDING)->advice);
    assert_null(words_uplink_phase(ipc_UPLINK_APPROVED)->advice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worker_state),  cmocka_unit_test(test_capture_phase),
        cmocka_unit_test(test_uplink_phase),  cmocka_unit_test(test_uplink_reason),
        cmocka_unit_test(test_key_origin),    cmocka_unit_test(test_refusal),
        cmocka_unit_test(test_advice),        cmocka_unit_test(test_command_profile),
        cmocka_unit_test(test_command_phase), cmocka_unit_test(test_decision),
        cmocka_unit_test(test_same_words),
    };
    return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}

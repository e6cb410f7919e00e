#include "talk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct talk talk;

static int say(uint32_t word, uint32_t value, uint32_t more)
{
    struct link_message message = {LINK_MAGIC, word, value, more};
    return talk_feed(&talk, (const uint8_t *)&message, sizeof message);
}

/* Brings the talk to a phase. */
static void reach(enum talk_phase phase)
{
    memset(&talk, 0, sizeof talk);
    if (phase >= TALK_GREETED)
        assert_int_equal(say(LINK_HELLO, 0, 0), 0);
    if (phase >= TALK_ORDERED)
        talk_ordered(&talk);
    if (phase == TALK_NOT_STARTED)
        assert_int_equal(say(LINK_NOT_STARTED, 2, 0), 0);
    if (phase == TALK_STARTED || phase == TALK_ENDED)
        assert_int_equal(say(LINK_STARTED, 0, 0), 0);
    if (phase == TALK_ENDED)
        assert_int_equal(say(LINK_ENDED, LINK_EXITED, 3), 0);
    assert_int_equal(talk.phase, phase);
}

static void test_a_whole_talk(void **state)
{
    (void)state;
    reach(TALK_ENDED);
    assert_int_equal(talk.end, LINK_EXITED);
    assert_int_equal(talk.code, 3);
    reach(TALK_NOT_STARTED);
    assert_int_equal(talk.code, 2);
    reach(TALK_STARTED);
    assert_int_equal(say(LINK_ENDED, LINK_SIGNALLED, 9), 0);
    assert_int_equal(talk.end, LINK_SIGNALLED);
    assert_int_equal(talk.code, 9);
}

/* What may be said in each phase; every other word, with every small value, is refused. */
static bool allowed(enum talk_phase phase, uint32_t word, uint32_t value, uint32_t more)
{
    switch (phase) {
    case TALK_SILENT:
        return word == LINK_HELLO && value == 0 && more == 0;
    case TALK_ORDERED:
        return (word == LINK_STARTED && value == 0 && more == 0) ||
               (word == LINK_NOT_STARTED && value >= 1 && value <= 4095 && more == 0);
    case TALK_STARTED:
        return word == LINK_ENDED && ((value == LINK_EXITED && more <= 255) ||
                                      (value == LINK_SIGNALLED && more >= 1 && more <= 64));
    default:
        return false;
    }
}

static void test_every_word_in_every_phase(void **state)
{
    (void)state;
    static const uint32_t values[] = {0,   1,   2,    3,    64,         65,
                                      255, 256, 4095, 4096, 0x80000000, UINT32_MAX};
    const size_t count = sizeof values / sizeof *values;
    for (int phase = TALK_SILENT; phase <= TALK_ENDED; phase++)
        for (uint32_t word = 0; word <= 9; word++)
            for (size_t v = 0; v < count * count; v++) {
                uint32_t value = values[v / count], more = values[v % count];
                reach((enum talk_phase)phase);
                int wanted = allowed((enum talk_phase)phase, word, value, more) ? 0 : -EPROTO;
                assert_int_equal(say(word, value, more), wanted);
            }
}

static void test_every_flipped_bit_of_the_magic(void **state)
{
    (void)state;
    for (int bit = 0; bit < 32; bit++) {
        struct link_message message = {LINK_MAGIC ^ 1u << bit, LINK_HELLO, 0, 0};
        memset(&talk, 0, sizeof talk);
        assert_int_equal(talk_feed(&talk, (const uint8_t *)&message, sizeof message), -EPROTO);
    }
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    struct link_message message = {LINK_MAGIC, LINK_HELLO, 0, 0};
    memset(&talk, 0, sizeof talk);
    for (size_t i = 0; i < sizeof message; i++) {
        assert_int_equal(talk.phase, TALK_SILENT);
        assert_int_equal(talk_feed(&talk, (const uint8_t *)&message + i, 1), 0);
    }
    assert_int_equal(talk.phase, TALK_GREETED);
}

static void test_two_messages_at_once(void **state)
{
    (void)state;
    struct link_message both[] = {{LINK_MAGIC, LINK_STARTED, 0, 0},
                                  {LINK_MAGIC, LINK_ENDED, LINK_EXITED, 5}};
    reach(TALK_ORDERED);
    assert_int_equal(talk_feed(&talk, (const uint8_t *)both, sizeof both), 0);
    assert_int_equal(talk.phase, TALK_ENDED);
    assert_int_equal(talk.code, 5);
    reach(TALK_ENDED);
    assert_int_equal(talk_feed(&talk, (const uint8_t *)both, sizeof both), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_talk),
        cmocka_unit_test(test_every_word_in_every_phase),
        cmocka_unit_test(test_every_flipped_bit_of_the_magic),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_two_messages_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Signed commands at uplink: who keeps to no order, says too much, or says nothing. */
#include "commands_played.h"

/* The broker waits a minute for an answer: what a slow network does not take goes back. */
static void gives_back_what_waits_too_long(void **state)
{
    (void)state;
    run("1");
    hand_in(1, "1", OUTPUT_STDOUT, 0);
    seen.queued = OUTPUT_QUEUE_MAX + 1;
    hand_in(2, "1", OUTPUT_STDOUT, 1);
    hand_in(3, "1", OUTPUT_STDERR, 0);
    expect("chunk 1 17/0; ");
    pass(OUTPUT_HELD_MS);
    expect("refused 2 2; refused 3 2; resume 1 0 0; ");
    seen.queued = 0;
    commands_resumed(commands, true, now);
    hand_in(4, "1", OUTPUT_STDOUT, 0);
    hand_in(5, "1", OUTPUT_STDOUT, 1);
    expect("refused 1 2; chunk 1 17/1; "); /* what is on its way is not sent twice */
    assert_int_equal(ack("1", 1, 0), 0);
    expect("taken 4; ");
    pass(OUTPUT_LATE_MS);
    assert_int_equal(ack("1", 2, 0), 0);
    expect("taken 5; resume 1 2 0; "); /* the runner may not have heard it */
    commands_resumed(commands, false, now);
    pass(COMMANDS_RETRY_MS);
    expect("query 1; ");
}

static void refuses_output_of_others(void **state)
{
    (void)state;
    hand_in(1, "1", OUTPUT_STDOUT, 0);
    output_ends("1");
    runner_goes("1");
    expect("refused 1 1; ");
    assert_int_equal(token("1"), 0);
    assert_int_equal(token("2"), 0);
    hand_in(2, "1", OUTPUT_STDOUT, 0);
    hand_in(3, "2", OUTPUT_STDOUT, 0);
    expect("offer 1; refused 2 2; refused 3 1; ");
    decide(COMMANDS_ACCEPTED, "accepted");
    hand_in(4, "2", OUTPUT_STDOUT, 0);
    expect("decision 1 accepted yes; refused 4 1; ");
}

static void holds_the_console_to_the_order(void **state)
{
    (void)state;
    assert_int_equal(ack("1", 0, 0), COMMANDS_ORDER);
    assert_int_equal(done("1"), COMMANDS_ORDER);
    assert_int_equal(token("1"), 0);
    assert_int_equal(token("1"), COMMANDS_ORDER);
    assert_int_equal(query("1", 0, 0), COMMANDS_ORDER);
    assert_int_equal(ack("1", 0, 0), COMMANDS_ORDER); /* not decided yet */
    assert_int_equal(done("1"), COMMANDS_ORDER);
    decide(COMMANDS_ACCEPTED, "accepted");
    assert_int_equal(done("1"), COMMANDS_ORDER);
    assert_int_equal(ack("1", 1, 0), COMMANDS_ORDER);
    hand_in(1, "1", OUTPUT_STDERR, 0);
    assert_int_equal(ack("1", 1, 0), COMMANDS_ORDER);
    assert_int_equal(ack("1", 0, 2), COMMANDS_ORDER);
    assert_int_equal(ack("1", 0, UINT32_MAX), COMMANDS_ORDER);
    assert_int_equal(ack("1", 0, 1), 0);
    output_ends("1");
    assert_int_equal(done("1"), COMMANDS_ORDER);
    find(COMMANDS_ENDED);
    assert_int_equal(query("1", 0, 0), COMMANDS_ORDER); /* open until done */
    assert_int_equal(token("1"), COMMANDS_ORDER);
    assert_int_equal(done("1"), 0);
    assert_int_equal(done("1"), COMMANDS_ORDER);
    assert_int_equal(say(WIRE_CHUNK, "1", 0, 0), COMMANDS_ORDER);
}

static void holds_eight_at_most(void **state)
{
    char text[2] = "0";

    (void)state;
    for (int i = 0; i < WIRE_COMMANDS_MAX; i++, text[0]++)
        assert_int_equal(i % 2 ? token(text) : query(text, 0, 0), 0);
    assert_int_equal(token("9"), COMMANDS_ORDER);
    assert_int_equal(query("9", 0, 0), COMMANDS_ORDER);
    find(COMMANDS_UNKNOWN);
    assert_int_equal(token("9"), 0);
}

static void refuses_frames_that_are_no_token(void **state)
{
    static uint8_t bytes[WIRE_TOKEN_MAX + 1] = "token";
    struct wire_frame frame = {.kind = WIRE_KIND_TOKEN, .content = bytes, .length = 5};

    (void)state;
    digest_of(frame.id, "token");
    frame.index = 1;
    assert_int_equal(commands_token(commands, &frame, now), COMMANDS_MALFORMED);
    frame.index = 0;
    frame.id[15] ^= 1;
    assert_int_equal(commands_token(commands, &frame, now), COMMANDS_MALFORMED);
    frame.id[15] ^= 1;
    frame.length = 0;
    assert_int_equal(commands_token(commands, &frame, now), COMMANDS_MALFORMED);
    frame.length = sizeof bytes;
    assert_int_equal(commands_token(commands, &frame, now), COMMANDS_MALFORMED);
    frame.length = 5;
    frame.kind = WIRE_KIND_STDOUT;
    assert_int_equal(commands_token(commands, &frame, now), COMMANDS_MALFORMED);
    frame.kind = WIRE_KIND_TOKEN;
    assert_int_equal(commands_token(commands, &frame, now), 0);
    expect("offer token; ");
}

static void forgets_when_approval_is_withdrawn(void **state)
{
    (void)state;
    run("1");
    hand_in(1, "1", OUTPUT_STDOUT, 0);
    assert_int_equal(token("2"), 0);
    expect("chunk 1 17/0; ");
    commands_forget(commands);
    expect("refused 1 1; ");
    assert_true(commands_deadline_ms(commands) == INT64_MAX);
    assert_int_equal(query("1", 0, 0), 0);
    expect("query 1; ");
    commands_forget(commands); /* and again, with a question open */
    assert_int_equal(query("1", 0, 0), 0);
    find(COMMANDS_UNKNOWN); /* the answer to the old one */
    expect("query 1; ");
    find(COMMANDS_UNDER_WAY);
    expect("running 1; resume 1 0 0; ");
    commands_forget(commands);
    assert_int_equal(query("1", 0, 0), 0);
    find(COMMANDS_UNDER_WAY);
    expect("query 1; running 1; ");
    commands_resumed(commands, true, now); /* likewise */
    expect("resume 1 0 0; ");
    commands_resumed(commands, true, now);
    hand_in(2, "1", OUTPUT_STDOUT, 0);
    expect("chunk 1 17/0; ");
}

static void gives_up_on_a_silent_console(void **state)
{
    (void)state;
    run("1");
    hand_in(1, "1", OUTPUT_STDOUT, 0);
    pass(30000);
    hand_in(2, "1", OUTPUT_STDOUT, 1);
    assert_int_equal(ack("1", 1, 0), 0);
    pass(OUTPUT_ANSWER_MS - 1); /* each answer gives it a minute for the next */
    assert_true(times_out(1));
}

static void gives_up_on_a_receipt_that_nobody_takes(void **state)
{
    (void)state;
    run("1");
    output_ends("1");
    find(COMMANDS_ENDED);
    pass(COMMANDS_ANSWER_MS - 1);
    assert_true(times_out(1));
}

/* The vault's route has a quota, and who exceeds it is killed. */
static void asks_so_many_times_a_second(void **state)
{
    int64_t begun;
    unsigned count = 0;

    (void)state;
    begun = now;
    while (now - begun < 1000) {
        assert_int_equal(query("1", 0, 0), 0);
        while (seen.log[0] == '\0')
            pass(1);
        find(COMMANDS_UNKNOWN);
        expect("query 1; unknown 1; ");
        count++;
    }
    assert_in_range(count, 2 * COMMANDS_PER_S - 5, 2 * COMMANDS_PER_S + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(gives_back_what_waits_too_long),   unit(refuses_output_of_others),
        unit(holds_the_console_to_the_order),   unit(holds_eight_at_most),
        unit(refuses_frames_that_are_no_token), unit(forgets_when_approval_is_withdrawn),
        unit(gives_up_on_a_silent_console),     unit(gives_up_on_a_receipt_that_nobody_takes),
        unit(asks_so_many_times_a_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

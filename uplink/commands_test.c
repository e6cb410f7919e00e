/* Signed commands at uplink, from the offer to the receipt, also when something is lost between. */
#include <string.h>

#include "commands_played.h"

static void carries_a_command(void **state)
{
    (void)state;
    assert_int_equal(token("1"), 0);
    expect("offer 1; ");
    decide(COMMANDS_ACCEPTED, "accepted");
    expect("decision 1 accepted yes; ");
    hand_in(7, "1", OUTPUT_STDOUT, 0);
    hand_in(8, "1", OUTPUT_STDERR, 0);
    hand_in(9, "1", OUTPUT_STDOUT, 1);
    expect("chunk 1 17/0; chunk 1 18/0; chunk 1 17/1; ");
    assert_int_equal(ack("1", 1, 0), 0);
    expect("taken 7; ");
    assert_int_equal(ack("1", 1, 0), 0);
    assert_int_equal(ack("1", 0, 0), 0); /* late, and means nothing */
    expect("");
    assert_int_equal(ack("1", 2, 1), 0);
    expect("taken 8; taken 9; ");
    output_ends("1");
    expect("query 1; ");
    find(COMMANDS_ENDED);
    expect("receipt 1 +; ");
    assert_int_equal(done("1"), 0);
    expect("delivered 1; ");
    commands_forgotten(commands, true, now);
    pass(100000);
    expect("");
    assert_true(commands_deadline_ms(commands) == INT64_MAX);
}

static void carries_the_next_when_the_runner_is_gone(void **state)
{
    (void)state;
    run("1");
    assert_int_equal(token("2"), 0);
    output_ends("1");
    find(COMMANDS_ENDED);
    expect("query 1; receipt 1 +; ");
    runner_goes("1");
    expect("offer 2; "); /* without waiting for command_done */
    decide(COMMANDS_ACCEPTED, "accepted");
    assert_int_equal(done("1"), 0);
    expect("decision 2 accepted yes; delivered 1; ");
}

/* The monitor refuses a runner sooner than the vault's decision is here: the broker passes on both,
 * from two channels. */
static void ends_what_was_over_before_its_decision(void **state)
{
    (void)state;
    assert_int_equal(token("1"), 0);
    assert_int_equal(token("2"), 0);
    runner_goes("1");
    decide(COMMANDS_ACCEPTED, "accepted");
    expect("offer 1; decision 1 accepted yes; query 1; ");
    find(COMMANDS_ENDED);
    expect("receipt 1 +; offer 2; ");
}

/* What is offered anew has a runner of its own. */
static void tells_two_offers_apart(void **state)
{
    (void)state;
    assert_int_equal(token("1"), 0);
    runner_goes("1");
    decide(COMMANDS_BUSY, "busy");
    pass(COMMANDS_RETRY_MS);
    decide(COMMANDS_ACCEPTED, "accepted");
    expect("offer 1; offer 1; decision 1 accepted yes; ");
    hand_in(7, "1", OUTPUT_STDOUT, 0);
    expect("chunk 1 17/0; ");
}

static void does_not_hang_on_a_missed_notice(void **state)
{
    (void)state;
    run("1");
    assert_int_equal(token("2"), 0);
    output_ends("1");
    find(COMMANDS_ENDED);
    pass(COMMANDS_GONE_MS - 1);
    expect("query 1; receipt 1 +; ");
    pass(1);
    expect("offer 2; ");
    decide(COMMANDS_BUSY, "busy");
    pass(COMMANDS_RETRY_MS - 1);
    expect("");
    pass(1);
    expect("offer 2; ");
    decide(COMMANDS_BUSY, "busy");
    expect("");
    runner_goes("9");
    expect("offer 2; ");
}

static void tells_refusals(void **state)
{
    (void)state;
    assert_int_equal(token("1"), 0);
    assert_int_equal(token("2"), 0);
    assert_int_equal(token("3"), 0);
    expect("offer 1; "); /* one at a time */
    decide(COMMANDS_REFUSED, "signature");
    expect("decision 1 signature; offer 2; ");
    commands_decided(commands, COMMANDS_REFUSED, "expired", RECEIPT, strlen(RECEIPT), now);
    expect("decision 2 expired +; offer 3; ");
    decide(COMMANDS_REVOCATION, "revocation");
    expect("decision 3 revocation yes; ");
    assert_int_equal(token("1"), 0); /* may come again: it is not open */
    expect("offer 1; ");
}

static void passes_on_no_receipt_that_is_none(void **state)
{
    static const char *const bad[] = {"a.b",    "a.b.c.d",  "a.b.c\n", "a.b.c ",
                                      "a.b.\"", "a.b.\x80", "a.b.c="};
    static char long_one[WIRE_RECEIPT_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(token("1"), 0);
        commands_decided(commands, COMMANDS_REFUSED, "audience", bad[i], strlen(bad[i]), now);
        expect("offer 1; decision 1 audience; ");
    }
    assert_int_equal(token("1"), 0);
    commands_decided(commands, COMMANDS_REFUSED, "audience", "a.b.c", 4, now);
    commands_decided(commands, COMMANDS_REFUSED, "audience", "a.b.c\0", 6, now);
    expect("offer 1; decision 1 audience; ");
    memset(long_one, 'a', sizeof long_one);
    long_one[1] = long_one[3] = '.';
    run("1");
    output_ends("1");
    commands_found(commands, COMMANDS_ENDED, long_one, sizeof long_one, now);
    expect("query 1; ");
    pass(COMMANDS_RETRY_MS);
    expect("query 1; ");
    find(COMMANDS_ENDED);
    expect("receipt 1 +; ");
}

static void asks_what_became_of_an_unanswered_offer(void **state)
{
    (void)state;
    assert_int_equal(token("1"), 0);
    commands_unanswered(commands, now);
    expect("offer 1; ");
    pass(COMMANDS_RETRY_MS);
    expect("query 1; ");
    commands_unanswered(commands, now);
    pass(COMMANDS_RETRY_MS);
    find(COMMANDS_UNKNOWN);
    expect("query 1; offer 1; "); /* it was not accepted */
    commands_unanswered(commands, now);
    pass(COMMANDS_RETRY_MS);
    find(COMMANDS_UNDER_WAY);
    expect("query 1; decision 1 accepted yes; resume 1 0 0; ");
    commands_resumed(commands, true, now);
    output_ends("1");
    find(COMMANDS_ENDED);
    expect("query 1; receipt 1 +; ");
}

static void asks_what_became_of_one_that_ended_meanwhile(void **state)
{
    (void)state;
    assert_int_equal(token("1"), 0);
    commands_unanswered(commands, now);
    pass(COMMANDS_RETRY_MS);
    find(COMMANDS_ENDED);
    expect("offer 1; query 1; resume 1 0 0; ");
    commands_resumed(commands, false, now);
    expect("query 1; ");
    find(COMMANDS_ENDED);
    expect("decision 1 accepted yes; receipt 1 +; ");
}

static void resumes_after_a_reconnect(void **state)
{
    (void)state;
    assert_int_equal(query("1", 5, 2), 0);
    expect("query 1; ");
    hand_in(6, "1", OUTPUT_STDOUT, 5);
    expect("refused 6 2; "); /* before the runner knows: it comes again */
    find(COMMANDS_UNDER_WAY);
    expect("running 1; resume 1 5 2; ");
    hand_in(7, "1", OUTPUT_STDOUT, 6);
    expect("refused 7 2; ");
    commands_resumed(commands, true, now);
    hand_in(8, "1", OUTPUT_STDOUT, 5);
    hand_in(9, "1", OUTPUT_STDERR, 4);
    expect("chunk 1 17/5; refused 9 2; ");
    hand_in(9, "1", OUTPUT_STDERR, 4); /* it has thrown two away */
    expect("chunk 1 18/4; ");
    assert_int_equal(ack("1", 6, 5), 0);
    expect("taken 8; taken 9; ");
    runner_goes("1");
    find(COMMANDS_ENDED);
    expect("query 1; receipt 1 +; ");
}

/* The receipt may be written while there is output that the console does not have. */
static void fetches_the_output_of_what_has_ended(void **state)
{
    (void)state;
    assert_int_equal(query("1", 3, 0), 0);
    find(COMMANDS_ENDED);
    expect("query 1; resume 1 3 0; ");
    commands_resumed(commands, true, now);
    expect("running 1; ");
    hand_in(8, "1", OUTPUT_STDOUT, 3);
    assert_int_equal(ack("1", 4, 0), 0);
    output_ends("1");
    find(COMMANDS_ENDED);
    expect("chunk 1 17/3; taken 8; query 1; receipt 1 +; ");
}

static void answers_queries_without_a_runner(void **state)
{
    (void)state;
    assert_int_equal(query("1", 3, 0), 0);
    assert_int_equal(query("2", 0, 0), 0);
    assert_int_equal(query("3", 0, 0), 0);
    expect("query 1; ");
    find(COMMANDS_ENDED);
    commands_resumed(commands, false, now);
    find(COMMANDS_ENDED);
    expect("resume 1 3 0; query 1; receipt 1 +; query 2; ");
    find(COMMANDS_UNKNOWN);
    expect("unknown 2; query 3; ");
    find(COMMANDS_UNDER_WAY); /* its runner is gone, or not there yet */
    commands_resumed(commands, false, now);
    expect("running 3; resume 3 0 0; ");
    pass(COMMANDS_RETRY_MS);
    expect("query 3; ");
    find(COMMANDS_UNDER_WAY);
    expect("resume 3 0 0; ");
    runner_goes("3"); /* while it is asked */
    commands_resumed(commands, false, now);
    find(COMMANDS_ENDED);
    expect("query 3; receipt 3 +; ");
    assert_int_equal(done("3"), 0);
    assert_int_equal(done("1"), 0);
    expect("delivered 3; "); /* one at a time */
    commands_forgotten(commands, false, now);
    pass(COMMANDS_RETRY_MS);
    expect("delivered 3; ");
    commands_forgotten(commands, true, now);
    expect("delivered 1; ");
    commands_forgotten(commands, true, now);
    commands_forgotten(commands, true, now); /* more than was asked */
    expect("");
}

static void says_when_the_record_was_lost(void **state)
{
    (void)state;
    run("1");
    runner_goes("1");
    find(COMMANDS_UNKNOWN);
    expect("query 1; unknown 1; ");
    assert_int_equal(done("1"), COMMANDS_ORDER);
}

/* A runner that dies leaves what was handed in; the receipt comes behind it. */
static void sends_the_receipt_last(void **state)
{
    (void)state;
    run("1");
    hand_in(7, "1", OUTPUT_STDOUT, 0);
    seen.queued = OUTPUT_QUEUE_MAX + 1;
    hand_in(8, "1", OUTPUT_STDOUT, 1);
    expect("chunk 1 17/0; ");
    runner_goes("1");
    expect("refused 7 1; refused 8 1; ");
    hand_in(9, "1", OUTPUT_STDOUT, 2);
    expect("refused 9 1; ");
    pass(50000);
    seen.queued = 0;
    pass(1000);
    commands_forgotten(commands, true, now);
    assert_int_equal(ack("1", 1, 0), 0);
    expect("chunk 1 17/1; ");
    assert_int_equal(ack("1", 2, 0), 0);
    expect("query 1; ");
    find(COMMANDS_UNDER_WAY); /* the vault does not know yet */
    pass(COMMANDS_RETRY_MS);
    find(COMMANDS_ENDED);
    expect("query 1; receipt 1 +; ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(carries_a_command),
        unit(carries_the_next_when_the_runner_is_gone),
        unit(ends_what_was_over_before_its_decision),
        unit(tells_two_offers_apart),
        unit(does_not_hang_on_a_missed_notice),
        unit(tells_refusals),
        unit(passes_on_no_receipt_that_is_none),
        unit(asks_what_became_of_an_unanswered_offer),
        unit(asks_what_became_of_one_that_ended_meanwhile),
        unit(resumes_after_a_reconnect),
        unit(fetches_the_output_of_what_has_ended),
        unit(answers_queries_without_a_runner),
        unit(says_when_the_record_was_lost),
        unit(sends_the_receipt_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

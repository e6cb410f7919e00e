/* The vault, the runner and the console are played; what was asked of them is written down. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "encoding.h"

#define RECEIPT "aaa.bbb.ccc"

/* One line for each thing that the commands did: "> text", "> 17 index length", "offer TOKEN", ...
 */
static struct {
    char log[8192];
    size_t queued;
} seen;

static struct commands *commands;
static int64_t now;
static char ids[16][ENCODING_HEX_SIZE(WIRE_TOKEN_SIZE)]; /* of the tokens "0" to "f" */

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    size_t used = strlen(seen.log);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(seen.log + used, sizeof seen.log - used, format, arguments);
    va_end(arguments);
    assert_true(strlen(seen.log) < sizeof seen.log - 300);
}

static void digest_of(uint8_t *id, const char *token)
{
    uint8_t digest[EVP_MAX_MD_SIZE];

    EVP_Digest(token, strlen(token), digest, NULL, EVP_sha256(), NULL);
    memcpy(id, digest, WIRE_TOKEN_SIZE);
}

static char name_of(const uint8_t *id)
{
    char hex[ENCODING_HEX_SIZE(WIRE_TOKEN_SIZE)];

    encoding_hex(hex, id, WIRE_TOKEN_SIZE);
    for (int i = 0; i < 16; i++)
        if (strcmp(hex, ids[i]) == 0)
            return "0123456789abcdef"[i];
    return '?';
}

/* The message's type and token, and a decision's word. */
static int on_send_text(void *user, const char *text, size_t length)
{
    char type[32], id[40] = "", word[40] = "";
    const char *reason = strstr(text, "\"reason\":\"");
    uint8_t token[WIRE_TOKEN_SIZE];

    (void)user;
    assert_int_equal(strlen(text), length);
    assert_int_equal(
        sscanf(text, "{\"type\":\"command_%31[a-z]\",\"token\":\"%39[0-9a-f]", type, id), 2);
    assert_true(encoding_hex_read(token, sizeof token, id, strlen(id)));
    if (reason)
        assert_int_equal(sscanf(reason, "\"reason\":\"%39[a-z_]", word), 1);
    note("%s %c%s%s%s%s; ", type, name_of(token), word[0] ? " " : "", word,
         strstr(text, "\"accepted\":true") ? " yes" : "",
         strstr(text, "\"receipt\":\"" RECEIPT "\"") ? " +" : "");
    return 0;
}

static int on_send_binary(void *user, const void *bytes, size_t length)
{
    struct wire_frame frame;

    (void)user;
    assert_int_equal(wire_read_frame(&frame, bytes, length), 0);
    note("chunk %c %u/%u; ", name_of(frame.id), frame.kind, frame.index);
    return 0;
}

static size_t on_queued(void *user)
{
    (void)user;
    return seen.queued;
}

static void on_offer(void *user, const void *token, size_t length)
{
    (void)user;
    note("offer %.*s; ", (int)length, (const char *)token);
}

static void on_query(void *user, const uint8_t *token)
{
    (void)user;
    note("query %c; ", name_of(token));
}

static void on_resume(void *user, const uint8_t *token, uint32_t stdout_next, uint32_t stderr_next)
{
    (void)user;
    note("resume %c %u %u; ", name_of(token), stdout_next, stderr_next);
}

static void on_delivered(void *user, const uint8_t *token)
{
    (void)user;
    note("delivered %c; ", name_of(token));
}

static void on_taken(void *user, uint32_t request)
{
    (void)user;
    note("taken %u; ", request);
}

static void on_refused(void *user, uint32_t request, enum output_refusal why)
{
    (void)user;
    note("refused %u %d; ", request, why);
}

static const struct commands_callbacks callbacks = {on_send_text, on_send_binary, on_queued};
static const struct commands_agent agent = {on_offer,     on_query, on_resume,
                                            on_delivered, on_taken, on_refused};

static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < 16; i++) {
        char token[2] = {"0123456789abcdef"[i], '\0'};
        uint8_t id[WIRE_TOKEN_SIZE];

        digest_of(id, token);
        encoding_hex(ids[i], id, sizeof id);
    }
    memset(&seen, 0, sizeof seen);
    now = 1000000;
    return commands_new(&commands, &callbacks, NULL, &agent, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    commands = commands_free(commands);
    return 0;
}

/* What was noted since the last time must be this. */
static void expect(const char *text)
{
    assert_string_equal(seen.log, text);
    seen.log[0] = '\0';
}

static int token(const char *text)
{
    struct wire_frame frame = {
        .kind = WIRE_KIND_TOKEN, .content = (const uint8_t *)text, .length = strlen(text)};

    digest_of(frame.id, text);
    return commands_token(commands, &frame, now);
}

static int say(enum wire_type type, const char *text, uint32_t stdout_count, uint32_t stderr_count)
{
    struct wire_message message = {
        .type = type, .stdout_count = stdout_count, .stderr_count = stderr_count};

    digest_of(message.token, text);
    return commands_receive(commands, &message, now);
}

static int ack(const char *text, uint32_t stdout_count, uint32_t stderr_count)
{
    return say(WIRE_COMMAND_ACK, text, stdout_count, stderr_count);
}

static int query(const char *text, uint32_t stdout_count, uint32_t stderr_count)
{
    return say(WIRE_COMMAND_QUERY, text, stdout_count, stderr_count);
}

static int done(const char *text)
{
    return say(WIRE_COMMAND_DONE, text, 0, 0);
}

static void decide(enum commands_verdict verdict, const char *word)
{
    commands_decided(commands, verdict, word, NULL, 0, now);
}

static void find(enum commands_state state)
{
    bool ended = state == COMMANDS_ENDED;

    commands_found(commands, state, ended ? RECEIPT : NULL, ended ? strlen(RECEIPT) : 0, now);
}

static void hand_in(uint32_t request, const char *text, enum output_stream stream, uint32_t index)
{
    uint8_t id[WIRE_TOKEN_SIZE];

    digest_of(id, text);
    commands_chunk(commands, request, id, stream, index, "output", 6, now);
}

static void output_ends(const char *text)
{
    uint8_t id[WIRE_TOKEN_SIZE];

    digest_of(id, text);
    commands_output_ended(commands, id, now);
}

static void runner_goes(const char *text)
{
    uint8_t id[WIRE_TOKEN_SIZE];

    digest_of(id, text);
    commands_runner_gone(commands, id, now);
}

/* Lets time pass as the owner does: to each deadline in turn, and never twice to the same. */
static void pass(int64_t ms)
{
    int64_t until = now + ms;
    struct fault fault;

    fault_clear(&fault);
    while (commands_deadline_ms(commands) <= until) {
        int64_t deadline = commands_deadline_ms(commands);

        now = deadline > now ? deadline : now;
        assert_true(commands_tick(commands, now, &fault));
        assert_true(commands_deadline_ms(commands) > now);
    }
    now = until;
}

static bool times_out(int64_t ms)
{
    struct fault fault;

    fault_clear(&fault);
    now += ms;
    return !commands_tick(commands, now, &fault) && fault.reason == FAULT_PHASE_TIMEOUT;
}

/* To the point where it runs. */
static void run(const char *text)
{
    assert_int_equal(token(text), 0);
    decide(COMMANDS_ACCEPTED, "accepted");
    seen.log[0] = '\0';
}

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

#define unit(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
        unit(gives_back_what_waits_too_long),
        unit(refuses_output_of_others),
        unit(holds_the_console_to_the_order),
        unit(holds_eight_at_most),
        unit(refuses_frames_that_are_no_token),
        unit(forgets_when_approval_is_withdrawn),
        unit(gives_up_on_a_silent_console),
        unit(gives_up_on_a_receipt_that_nobody_takes),
        unit(asks_so_many_times_a_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

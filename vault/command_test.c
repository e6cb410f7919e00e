/*
 * The life of a signed command, step by step, its refusals, and revocation.
 */
#include "command_desk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "words.h"

/* ---------------------------------------------------------------- the life of a command */

static void a_command_comes_all_the_way(void **state)
{
    struct desk *desk = *state;
    ipc_CommandFetch request = {.slot = 3, .generation = 9};
    ipc_CommandOrder reply;
    struct order order;
    struct grant grant = {.magic = GRANT_MAGIC, .slot = 3, .generation = 9, .profile = 1};
    desk_accept(desk);
    assert_int_equal(desk->wanted.profile, ipc_PROFILE_DIAGNOSTIC);
    assert_string_equal(desk->wanted.kid, "ops-1");
    assert_memory_equal(desk->wanted.token, desk->said.token, 16);
    assert_int_equal(desk_query(desk), ipc_COMMAND_ACCEPTED);
    request.number = desk->wanted.number;
    assert_null(command_fetch(&desk->commands, &request, desk->now, &reply));
    memcpy(desk->order_tag, reply.tag, sizeof desk->order_tag);
    memcpy(grant.key, desk_grant.key, sizeof grant.key);
    memcpy(grant.digest, desk->wanted.digest, sizeof grant.digest);
    assert_int_equal(
        order_accept(&order, desk->commands.order, desk->commands.order_length, reply.tag, &grant),
        ORDER_OK);
    assert_string_equal(order.argv[0], "/usr/bin/id");
    assert_memory_equal(order.token, desk->wanted.token, 16);
    assert_int_equal(desk_query(desk), ipc_COMMAND_STARTED);
    assert_null(desk_finish(desk, desk->wanted.number, 3));
    desk_assert_receipt(desk, "run", "");
    assert_non_null(strstr(desk_receipt_text(desk), "\"exit\":3,\"limit\":\"\",\"stdout_bytes\":0,"
                                                    "\"stdout_sha256\":\"e3b0c44298fc1c14"));
    ipc_ReceiptDelivered delivered;
    ipc_ReceiptForgotten forgotten;
    memcpy(delivered.token, desk->wanted.token, sizeof delivered.token);
    assert_null(command_delivered(&desk->commands, &delivered, desk->now, &forgotten));
    assert_null(command_delivered(&desk->commands, &delivered, desk->now, &forgotten));
    assert_int_equal(desk_query(desk), ipc_COMMAND_UNKNOWN);
    assert_int_equal(desk_offer_again(desk, 1), ipc_DECISION_REPLAYED);
    assert_int_equal(desk->commands.receipt_length, 0); /* it is delivered and forgotten */
}

static void it_is_handed_out_once(void **state)
{
    struct desk *desk = *state;
    assert_int_equal(desk_fetch(desk, 0)->reason, ipc_NO_SUCH);
    desk_accept(desk);
    uint32_t number = desk->wanted.number;
    assert_int_equal(desk_fetch(desk, number + 1)->reason, ipc_NO_SUCH);
    assert_int_equal(desk_fetch(desk, 0)->reason, ipc_NO_SUCH);
    assert_int_equal(desk_finish(desk, number, 0)->reason, ipc_NO_SUCH); /* not started */
    assert_null(desk_fetch(desk, number));
    assert_int_equal(desk_fetch(desk, number)->reason, ipc_NOT_ALLOWED);
    assert_int_equal(desk->commands.order_length, 0);
    assert_int_equal(desk_finish(desk, number + 1, 0)->reason, ipc_NO_SUCH);
    assert_null(desk_finish(desk, number, 0));
    assert_int_equal(desk_finish(desk, number, 1)->reason, ipc_NO_SUCH);
    assert_int_equal(desk_fetch(desk, number)->reason, ipc_NO_SUCH);
    desk_lose(desk, "runner_died"); /* too late: it has its receipt */
    desk_assert_receipt(desk, "run", "");
}

static void one_at_a_time(void **state)
{
    struct desk *desk = *state;
    desk_accept(desk);
    uint32_t first = desk->wanted.number;
    assert_int_equal(desk_offer_again(desk, 1), ipc_DECISION_BUSY);
    assert_int_equal(desk_offer(desk, desk_sample(desk)), ipc_DECISION_BUSY);
    assert_int_equal(desk->commands.receipt_length, 0);
    assert_null(desk_fetch(desk, first));
    assert_int_equal(desk_offer_again(desk, 1), ipc_DECISION_BUSY);
    assert_null(desk_finish(desk, first, 0));
    assert_int_equal(desk_offer_again(desk, 1),
                     ipc_DECISION_ACCEPTED); /* it lost nothing by that */
    assert_int_equal(desk->commands.refused, 0);
    assert_true(command_wanted(&desk->commands, &desk->wanted));
    assert_int_equal(desk->wanted.number, first + 1);
}

static void what_never_ran_says_why(void **state)
{
    struct desk *desk = *state;
    desk_accept(desk);
    desk_lose(desk, "policy_profile");
    desk_assert_receipt(desk, "not_run", "policy_profile");
    desk_accept(desk);
    desk_lose(desk, "\",\"decision\":\"run"); /* no word that a receipt may say */
    desk_assert_receipt(desk, "not_run", "not_started");
    desk_accept(desk);
    assert_null(desk_fetch(desk, desk->wanted.number));
    desk_lose(desk, "policy_profile"); /* it may have run, whatever the broker says */
    desk_assert_receipt(desk, "unknown", "runner_died");
}

static void results_are_such_as_can_be(void **state)
{
    struct desk *desk = *state;
    ipc_CommandRecorded reply;
    desk_accept(desk);
    assert_null(desk_fetch(desk, desk->wanted.number));
    ipc_CommandFinished wrong[] = {
        {.end = ipc_END_EXITED, .code = 256},
        {.end = ipc_END_SIGNALLED, .code = 0},
        {.end = ipc_END_NOT_EXECUTED, .code = 5000},
        {.end = ipc_END_UNSPECIFIED},
        {.end = (ipc_CommandEnd)17},
        {.end = ipc_END_EXITED, .limit = (ipc_CommandLimit)3},
        {.end = ipc_END_EXITED, .has_out = true, .out.bytes = UINT64_MAX},
        {.end = ipc_END_EXITED, .started_ms = UINT64_MAX},
        {.end = ipc_END_EXITED, .ended_ms = UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        wrong[i].number = desk->wanted.number;
        desk_seal(desk, &wrong[i]);
        const struct service_refusal *refusal =
            command_finished(&desk->commands, &wrong[i], desk->now, &reply);
        assert_non_null(refusal);
        assert_int_equal(refusal->reason, ipc_BAD_REQUEST);
        assert_int_equal(desk_query(desk), ipc_COMMAND_STARTED);
    }
    ipc_CommandFinished lost = {.number = desk->wanted.number, .end = ipc_END_LOST};
    desk_seal(desk, &lost);
    assert_null(command_finished(&desk->commands, &lost, desk->now, &reply));
    desk_assert_receipt(desk, "unknown", "runner_died");
}

/* A broker that was taken over says how a command ended, in its runner's name. */
static void only_its_runner_ends_it(void **state)
{
    struct desk *desk = *state;
    ipc_CommandRecorded reply;
    desk_accept(desk);
    assert_null(desk_fetch(desk, desk->wanted.number));
    ipc_CommandFinished report = {.number = desk->wanted.number, .end = ipc_END_EXITED, .code = 1};
    for (int i = 0; i < 2; i++) {
        const struct service_refusal *refusal =
            command_finished(&desk->commands, &report, desk->now, &reply);
        assert_non_null(refusal);
        assert_int_equal(refusal->reason, ipc_NOT_ALLOWED);
        assert_int_equal(desk_query(desk), ipc_COMMAND_STARTED);
        desk_seal(desk, &report); /* and then its exit status is made another one */
        report.code = 0;
    }
    desk_seal(desk, &report);
    assert_null(command_finished(&desk->commands, &report, desk->now, &reply));
    desk_assert_receipt(desk, "run", "");
}

/* ---------------------------------------------------------------- refusals, in their order */

static void refusals_have_their_reasons(void **state)
{
    struct desk *desk = *state;
    struct command_sample wrong = desk_sample(desk);
    wrong.audience = "group:others";
    desk_assert_refused(desk, wrong, ipc_DECISION_AUDIENCE);
    wrong = desk_sample(desk);
    wrong.exp = wrong.nbf;
    desk_assert_refused(desk, wrong, ipc_DECISION_VALIDITY);
    wrong.exp = wrong.nbf + WEEK + 1;
    desk_assert_refused(desk, wrong, ipc_DECISION_VALIDITY);
    wrong = desk_sample(desk);
    wrong.nbf = NOW_S + 1;
    desk_assert_refused(desk, wrong, ipc_DECISION_NOT_YET_VALID);
    wrong = desk_sample(desk);
    wrong.nbf = NOW_S - 10;
    wrong.exp = NOW_S;
    desk_assert_refused(desk, wrong, ipc_DECISION_EXPIRED);
    wrong.exp = NOW_S + 1; /* valid, but from before the store was made */
    desk_assert_refused(desk, wrong, ipc_DECISION_EPOCH);
    wrong = desk_sample(desk);
    wrong.profile = "user";
    desk_assert_refused(desk, wrong, ipc_DECISION_PROFILE);
    wrong = desk_sample(desk);
    wrong.key = SAMPLE_CUSTOMER;
    desk_assert_refused(desk, wrong, ipc_DECISION_COUNTERSIGNATURE);
    wrong = desk_sample(desk);
    wrong.more = ",\"seq\":7";
    desk_assert_refused(desk, wrong, ipc_DECISION_PAYLOAD);
    assert_int_equal(desk->commands.refused, 9);
    desk_accept(desk);
}

static void the_borders_of_its_validity(void **state)
{
    struct desk *desk = *state;
    struct command_sample border = desk_sample(desk);
    border.exp = NOW_S + WEEK;
    border.nbf = NOW_S;
    assert_int_equal(desk_offer(desk, border), ipc_DECISION_ACCEPTED);
    assert_true(command_wanted(&desk->commands, &desk->wanted));
    desk_lose(desk, "no_program");
    border = desk_sample(desk);
    border.exp = NOW_S + 100;
    desk->now.unix_ms = (NOW_S + 100) * 1000 - 1;
    assert_int_equal(desk_offer(desk, border), ipc_DECISION_ACCEPTED);
    assert_true(command_wanted(&desk->commands, &desk->wanted));
    desk_lose(desk, "no_program");
    border = desk_sample(desk);
    border.exp = NOW_S + 100;
    desk->now.unix_ms = (NOW_S + 100) * 1000;
    desk_assert_refused(desk, border, ipc_DECISION_EXPIRED);
}

static void assert_own_refusal(struct desk *desk)
{
    char id[2 * ORDER_TOKEN_SIZE + 1];
    const char *text = desk_receipt_text(desk);
    sodium_bin2hex(id, sizeof id, desk->said.token, ORDER_TOKEN_SIZE);
    assert_non_null(strstr(text, "\"decision\":\"refused\",\"reason\":\"replayed\""));
    assert_non_null(strstr(text, id));
}

static void replays_and_sequence(void **state)
{
    struct desk *desk = *state;
    struct command_sample first;
    desk_run_whole(desk);
    assert_int_equal(desk_offer_again(desk, 1), ipc_DECISION_REPLAYED);
    assert_non_null(strstr(desk_receipt_text(desk), "\"decision\":\"run\"")); /* the first time's */
    assert_memory_equal(desk->said.token, desk->wanted.token, 16);
    command_sample_malleate(desk->token, desk->length);
    assert_int_equal(desk_offer_again(desk, 1), ipc_DECISION_REPLAYED);
    assert_memory_not_equal(desk->said.token, desk->wanted.token, 16);
    assert_own_refusal(desk);  /* the other's receipt would be one about another token */
    first = desk_sample(desk); /* another number, the same id */
    first.jti = 1;
    assert_int_equal(desk_offer(desk, first), ipc_DECISION_REPLAYED);
    assert_own_refusal(desk);
    first = desk_sample(desk); /* another id, the same number */
    first.seq = 1;
    assert_int_equal(desk_offer(desk, first), ipc_DECISION_REPLAYED);
    assert_own_refusal(desk);
    desk_begin(desk);
    assert_int_equal(desk_offer_again(desk, 1), ipc_DECISION_REPLAYED);
    desk->seq = 10;
    desk_run_whole(desk);
    first = desk_sample(desk);
    first.seq = 5;
    desk_assert_refused(desk, first, ipc_DECISION_SEQUENCE);
}

static void clocks_that_are_set(void **state)
{
    struct desk *desk = *state;
    struct command_sample later = desk_sample(desk);
    desk->now.unix_ms -= 120001;
    later.nbf = NOW_S - 1000;
    desk_assert_refused(desk, later, ipc_DECISION_CLOCK);
    desk->now.unix_ms = (NOW_S + 10 * 86400) * 1000; /* forward: seen by any authentic token */
    desk_assert_refused(desk, desk_sample(desk), ipc_DECISION_EXPIRED);
    desk->now.unix_ms = NOW_S * 1000; /* and back */
    desk_assert_refused(desk, desk_sample(desk), ipc_DECISION_CLOCK);
    desk_begin(desk);
    desk_assert_refused(desk, desk_sample(desk), ipc_DECISION_CLOCK);
}

static void what_is_not_authentic_leaves_no_trace(void **state)
{
    struct desk *desk = *state;
    uint64_t count = desk->commands.store.file.at.count;
    desk->now.unix_ms += 10 * 86400000ULL;
    desk->length = command_sample_sign(desk->token, &(struct command_sample){
                                                        .key = SAMPLE_DIAGNOSTIC,
                                                        .audience = "group:desks",
                                                        .profile = "diagnostic",
                                                        .seq = 1,
                                                        .nbf = NOW_S,
                                                        .exp = NOW_S + 1,
                                                    });
    char *last = &desk->token[desk->length - 10];
    *last = *last == 'A' ? 'B' : 'A';
    assert_null(command_offer(&desk->commands, 1, (const uint8_t *)desk->token, desk->length,
                              desk->now, &desk->said));
    assert_int_equal(desk->said.decision, ipc_DECISION_SIGNATURE);
    assert_int_equal(desk->commands.receipt_length, 0);
    assert_int_equal(desk->commands.store.file.at.count, count);
}

static void floods_are_rationed(void **state)
{
    struct desk *desk = *state;
    int looked_at = 0;
    desk->length = 3;
    memcpy(desk->token, "a.b", 4);
    while (looked_at < 10000 && desk_offer_again(desk, 1) == ipc_DECISION_MALFORMED)
        looked_at++;
    assert_in_range(looked_at, 1000, 5000);
    assert_int_equal(desk->said.decision, ipc_DECISION_RATIONED);
    assert_true(desk->commands.log_strangers.left_out > 900); /* and do not fill the log */
    desk->now.mono_ms += 1000;
    assert_int_equal(desk_offer_again(desk, 1), ipc_DECISION_MALFORMED);
    struct command_sample other = desk_sample(desk); /* what was signed has its own share */
    other.audience = "group:others";
    assert_int_equal(desk_offer(desk, other), ipc_DECISION_AUDIENCE);
    assert_int_equal(desk->commands.log.left_out, 0);
}

/* Neither what is said of a signed token, of a revoked key's too, nor an administrator. */
static void a_flood_hides_and_hinders_nothing_signed(void **state)
{
    struct desk *desk = *state;
    desk->length = 3;
    memcpy(desk->token, "a.b", 4);
    while (desk_offer_again(desk, 1) == ipc_DECISION_MALFORMED)
        ;
    const uint32_t lines = desk->commands.log.lines.tokens;
    assert_int_equal(desk_revoke(desk, 0, SAMPLE_DIAGNOSTIC, "\"ops-1\""), ipc_DECISION_REVOCATION);
    assert_int_equal(desk_offer_again(desk, 0), ipc_DECISION_REVOKED);
    assert_int_equal(desk->commands.log.lines.tokens, lines - 1);
    desk->now.mono_ms += 1000;
    assert_int_equal(desk_offer(desk, desk_sample(desk)), ipc_DECISION_REVOKED);
    assert_int_equal(desk->commands.log.lines.tokens, lines - 2);
    assert_int_equal(desk->commands.log.left_out, 0);
}

/* ---------------------------------------------------------------- revocation */

static void a_revoked_key_is_revoked_for_good(void **state)
{
    struct desk *desk = *state;
    assert_int_equal(desk_revoke(desk, 1, SAMPLE_DIAGNOSTIC, "\"ops-2\""), ipc_DECISION_PROFILE);
    desk_accept(desk);
    assert_int_equal(desk_revoke(desk, 1, SAMPLE_ADMIN, "\"ops-1\""), ipc_DECISION_BUSY);
    assert_int_equal(desk_revoke(desk, 0, SAMPLE_ADMIN, "\"ops-1\",\"of-another-build\""),
                     ipc_DECISION_REVOCATION); /* an administrator need not wait */
    assert_int_equal(desk->said.revoked, 2);
    assert_int_equal(desk_fetch(desk, desk->wanted.number)->reason, ipc_NOT_ALLOWED);
    assert_int_equal(desk->commands.order_length, 0); /* it was not started, and never will be */
    desk_assert_receipt(desk, "not_run", "revoked");
    for (int restarted = 0; restarted < 2; restarted++) {
        ipc_CommandStatusReply status;
        assert_int_equal(desk_offer(desk, desk_sample(desk)), ipc_DECISION_REVOKED);
        assert_int_equal(desk->commands.receipt_length, 0);
        assert_null(command_status(&desk->commands, &status));
        assert_int_equal(status.keys_count, SAMPLE_KEYS);
        assert_true(status.keys[SAMPLE_DIAGNOSTIC].revoked);
        assert_false(status.keys[SAMPLE_ADMIN].revoked);
        desk_begin(desk);
    }
    assert_int_equal(desk_revoke(desk, 1, SAMPLE_ADMIN, "\"ops-2\""), ipc_DECISION_REVOCATION);
    assert_int_equal(desk_revoke(desk, 1, SAMPLE_ADMIN, "\"ops-2\""), ipc_DECISION_REVOKED);
}

/* Its end is told as that of any other. */
static void what_runs_when_its_key_is_revoked_goes_on(void **state)
{
    struct desk *desk = *state;
    desk_accept(desk);
    assert_null(desk_fetch(desk, desk->wanted.number));
    assert_int_equal(desk_revoke(desk, 0, SAMPLE_ADMIN, "\"ops-1\""), ipc_DECISION_REVOCATION);
    assert_null(desk_finish(desk, desk->wanted.number, 0));
    desk_assert_receipt(desk, "run", "");
}

static void an_administrator_offers_revocations_alone(void **state)
{
    struct desk *desk = *state;
    struct command_sample command = desk_sample(desk);
    desk->length = command_sample_sign(desk->token, &command);
    assert_int_equal(desk_offer_again(desk, 0), ipc_DECISION_PAYLOAD);
    assert_false(command_wanted(&desk->commands, &desk->wanted));
    assert_int_equal(desk_offer_again(desk, 1), ipc_DECISION_ACCEPTED);
}

#define test(name) cmocka_unit_test_setup_teardown(name, desk_set_up, desk_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_command_comes_all_the_way),
        test(it_is_handed_out_once),
        test(one_at_a_time),
        test(what_never_ran_says_why),
        test(results_are_such_as_can_be),
        test(only_its_runner_ends_it),
        test(refusals_have_their_reasons),
        test(the_borders_of_its_validity),
        test(replays_and_sequence),
        test(clocks_that_are_set),
        test(what_is_not_authentic_leaves_no_trace),
        test(floods_are_rationed),
        test(a_flood_hides_and_hinders_nothing_signed),
        test(a_revoked_key_is_revoked_for_good),
        test(what_runs_when_its_key_is_revoked_goes_on),
        test(an_administrator_offers_revocations_alone),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}

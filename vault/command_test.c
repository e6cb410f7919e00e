/*
 * The state machine of signed commands, over a real key store, replay store and verifier: clocks
 * and restarts are the test's.
 */
#include "command.h"

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

#include "command_sample.h"
#include "words.h"

#define NOW_S UINT64_C(1790000000)
#define WEEK  UINT64_C(604800)

struct desk {
    char path[64];
    int folder;
    struct key_store *keys;
    struct signer signer;
    struct token_verifier *verifier;
    struct command_service commands;
    struct command_time now;
    uint64_t seq;
    size_t length;
    char token[TOKEN_BYTES_MAX + 1];
    ipc_TokenDecision said;
    ipc_RunnerWanted wanted;
};

static struct token tokens[2];
static const uint8_t order_key[GRANT_KEY_SIZE] = {1, 2, 3};

/* As a new process would begin, in main.c's order. */
static void begin(struct desk *desk)
{
    static ipc_VaultConfig config = {.groups_count = 2, .groups = {"desks", "floor-2"}};
    struct hardware hardware = {0};
    struct key_notes notes;
    command_end(&desk->commands);
    desk->keys = key_store_free(desk->keys);
    assert_int_equal(key_store_new(&desk->keys), 0);
    assert_int_equal(signer_begin(&desk->signer, "", desk->now.mono_ms), 0);
    const struct command_setup setup = {.verifier = desk->verifier,
                                        .tokens = {&tokens[0], &tokens[1]},
                                        .keys = desk->keys,
                                        .signer = &desk->signer,
                                        .order_key = order_key,
                                        .folder = desk->folder,
                                        .config = &config};
    assert_int_equal(command_begin(&desk->commands, &setup, desk->now), 0);
    command_open(&desk->commands, desk->now);
    hardware_identify(&hardware.part[HARDWARE_DISK], HARDWARE_READABLE, "D1", 2);
    assert_int_equal(key_store_open(desk->keys, desk->folder, &hardware, desk->now.unix_ms, &notes),
                     0);
}

static int set_up(void **state)
{
    struct command_keys table;
    struct desk *desk = calloc(1, sizeof *desk);
    sample_table(&table, SAMPLE_KEYS);
    assert_int_equal(token_verifier_new(&desk->verifier, &table), 0);
    strcpy(desk->path, "/tmp/command_test.XXXXXX");
    assert_non_null(mkdtemp(desk->path));
    desk->folder = state_folder_open(desk->path);
    desk->now = (struct command_time){.mono_ms = 1000, .unix_ms = NOW_S * 1000};
    desk->commands.store.file.log.fd = desk->commands.store.file.anchor.fd = -1;
    begin(desk);
    *state = desk;
    return 0;
}

static int tear_down(void **state)
{
    struct desk *desk = *state;
    char command[128];
    command_end(&desk->commands);
    key_store_free(desk->keys);
    token_verifier_free(desk->verifier);
    close(desk->folder);
    snprintf(command, sizeof command, "rm -r %s", desk->path);
    assert_int_equal(system(command), 0);
    free(desk);
    return 0;
}

/* ---------------------------------------------------------------- saying things */

static ipc_Decision offer_again(struct desk *desk, uint32_t uid)
{
    command_tick(&desk->commands, desk->now);
    assert_null(command_offer(&desk->commands, uid, (const uint8_t *)desk->token, desk->length,
                              desk->now, &desk->said));
    return desk->said.decision;
}

static ipc_Decision offer(struct desk *desk, struct command_sample sample)
{
    desk->length = command_sample_sign(desk->token, &sample);
    return offer_again(desk, 64300);
}

/* A command that is accepted, but for what the caller changes. */
static struct command_sample sample(struct desk *desk)
{
    desk->seq++;
    return (struct command_sample){.key = SAMPLE_DIAGNOSTIC,
                                   .audience = "group:desks",
                                   .profile = "diagnostic",
                                   .seq = desk->seq,
                                   .jti = (uint32_t)desk->seq,
                                   .nbf = NOW_S,
                                   .exp = NOW_S + 3600};
}

static void accept(struct desk *desk)
{
    assert_int_equal(offer(desk, sample(desk)), ipc_DECISION_ACCEPTED);
    assert_true(command_wanted(&desk->commands, &desk->wanted));
    assert_false(command_wanted(&desk->commands, &desk->wanted));
}

static const struct service_refusal *fetch(struct desk *desk, uint32_t number)
{
    ipc_CommandFetch request = {.number = number, .slot = 3, .generation = 9};
    ipc_CommandOrder reply;
    return command_fetch(&desk->commands, &request, desk->now, &reply);
}

static const struct service_refusal *finish(struct desk *desk, uint32_t number, uint32_t code)
{
    ipc_CommandFinished request = {.number = number,
                                   .end = ipc_END_EXITED,
                                   .code = code,
                                   .started_ms = desk->now.unix_ms,
                                   .ended_ms = desk->now.unix_ms + 1};
    ipc_CommandRecorded reply;
    return command_finished(&desk->commands, &request, desk->now, &reply);
}

static void run_whole(struct desk *desk)
{
    accept(desk);
    assert_null(fetch(desk, desk->wanted.number));
    assert_null(finish(desk, desk->wanted.number, 0));
}

static void lose(struct desk *desk, const char *reason)
{
    ipc_CommandLost request = {.number = desk->wanted.number};
    snprintf(request.reason, sizeof request.reason, "%s", reason);
    command_lost(&desk->commands, &request, desk->now);
}

/* The payload of the receipt that the last answer carried, or "". */
static const char *receipt_text(struct desk *desk)
{
    static char payload[RECEIPT_MAX];
    struct command_service *commands = &desk->commands;
    size_t length = 0;
    if (commands->receipt_length == 0)
        return "";
    const char *from = memchr(commands->receipt, '.', commands->receipt_length);
    assert_non_null(from);
    const char *to = memchr(from + 1, '.', commands->receipt_length);
    assert_non_null(to);
    assert_int_equal(sodium_base642bin((uint8_t *)payload, sizeof payload - 1, from + 1,
                                       (size_t)(to - from - 1), NULL, &length, NULL,
                                       sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                     0);
    payload[length] = '\0';
    return payload;
}

static ipc_CommandPhase query(struct desk *desk)
{
    ipc_CommandQuery request;
    ipc_CommandQueryReply reply;
    memcpy(request.token, desk->wanted.token, sizeof request.token);
    assert_null(command_query(&desk->commands, &request, desk->now, &reply));
    return reply.phase;
}

static void assert_receipt(struct desk *desk, const char *decision, const char *reason)
{
    char expected[128];
    assert_int_equal(query(desk), ipc_COMMAND_ENDED);
    snprintf(expected, sizeof expected, "\"decision\":\"%s\",\"reason\":\"%s\"", decision, reason);
    if (!strstr(receipt_text(desk), expected))
        fail_msg("%s is not in %s", expected, receipt_text(desk));
}

static void assert_refused(struct desk *desk, struct command_sample wrong, ipc_Decision decision)
{
    char expected[128];
    assert_string_equal(decision_word(offer(desk, wrong)), decision_word(decision));
    snprintf(expected, sizeof expected, "\"decision\":\"refused\",\"reason\":\"%s\"",
             decision_word(decision));
    if (decision_is_authentic(decision) && decision != ipc_DECISION_REPLAYED)
        assert_non_null(strstr(receipt_text(desk), expected));
    else
        assert_int_equal(desk->commands.receipt_length, 0);
    assert_false(command_wanted(&desk->commands, &desk->wanted));
}

/* ---------------------------------------------------------------- the life of a command */

static void a_command_comes_all_the_way(void **state)
{
    struct desk *desk = *state;
    ipc_CommandFetch request = {.slot = 3, .generation = 9};
    ipc_CommandOrder reply;
    struct order order;
    struct grant grant = {.magic = GRANT_MAGIC, .slot = 3, .generation = 9, .profile = 1};
    accept(desk);
    assert_int_equal(desk->wanted.profile, ipc_PROFILE_DIAGNOSTIC);
    assert_string_equal(desk->wanted.kid, "ops-1");
    assert_memory_equal(desk->wanted.token, desk->said.token, 16);
    assert_int_equal(query(desk), ipc_COMMAND_ACCEPTED);
    request.number = desk->wanted.number;
    assert_null(command_fetch(&desk->commands, &request, desk->now, &reply));
    memcpy(grant.key, order_key, sizeof grant.key);
    memcpy(grant.digest, desk->wanted.digest, sizeof grant.digest);
    assert_int_equal(
        order_accept(&order, desk->commands.order, desk->commands.order_length, reply.tag, &grant),
        ORDER_OK);
    assert_string_equal(order.argv[0], "/usr/bin/id");
    assert_memory_equal(order.token, desk->wanted.token, 16);
    assert_int_equal(query(desk), ipc_COMMAND_STARTED);
    assert_null(finish(desk, desk->wanted.number, 3));
    assert_receipt(desk, "run", "");
    assert_non_null(strstr(receipt_text(desk), "\"exit\":3,\"limit\":\"\",\"stdout_bytes\":0,"
                                               "\"stdout_sha256\":\"e3b0c44298fc1c14"));
    ipc_ReceiptDelivered delivered;
    ipc_ReceiptForgotten forgotten;
    memcpy(delivered.token, desk->wanted.token, sizeof delivered.token);
    assert_null(command_delivered(&desk->commands, &delivered, desk->now, &forgotten));
    assert_null(command_delivered(&desk->commands, &delivered, desk->now, &forgotten));
    assert_int_equal(query(desk), ipc_COMMAND_UNKNOWN);
    assert_int_equal(offer_again(desk, 1), ipc_DECISION_REPLAYED);
    assert_int_equal(desk->commands.receipt_length, 0); /* it is delivered and forgotten */
}

static void it_is_handed_out_once(void **state)
{
    struct desk *desk = *state;
    assert_int_equal(fetch(desk, 0)->reason, ipc_NO_SUCH);
    accept(desk);
    uint32_t number = desk->wanted.number;
    assert_int_equal(fetch(desk, number + 1)->reason, ipc_NO_SUCH);
    assert_int_equal(fetch(desk, 0)->reason, ipc_NO_SUCH);
    assert_int_equal(finish(desk, number, 0)->reason, ipc_NO_SUCH); /* not started */
    assert_null(fetch(desk, number));
    assert_int_equal(fetch(desk, number)->reason, ipc_NOT_ALLOWED);
    assert_int_equal(desk->commands.order_length, 0);
    assert_int_equal(finish(desk, number + 1, 0)->reason, ipc_NO_SUCH);
    assert_null(finish(desk, number, 0));
    assert_int_equal(finish(desk, number, 1)->reason, ipc_NO_SUCH);
    assert_int_equal(fetch(desk, number)->reason, ipc_NO_SUCH);
    lose(desk, "runner_died"); /* too late: it has its receipt */
    assert_receipt(desk, "run", "");
}

static void one_at_a_time(void **state)
{
    struct desk *desk = *state;
    accept(desk);
    uint32_t first = desk->wanted.number;
    assert_int_equal(offer_again(desk, 1), ipc_DECISION_BUSY);
    assert_int_equal(offer(desk, sample(desk)), ipc_DECISION_BUSY);
    assert_int_equal(desk->commands.receipt_length, 0);
    assert_null(fetch(desk, first));
    assert_int_equal(offer_again(desk, 1), ipc_DECISION_BUSY);
    assert_null(finish(desk, first, 0));
    assert_int_equal(offer_again(desk, 1), ipc_DECISION_ACCEPTED); /* it lost nothing by that */
    assert_int_equal(desk->commands.refused, 0);
    assert_true(command_wanted(&desk->commands, &desk->wanted));
    assert_int_equal(desk->wanted.number, first + 1);
}

static void what_never_ran_says_why(void **state)
{
    struct desk *desk = *state;
    accept(desk);
    lose(desk, "policy_profile");
    assert_receipt(desk, "not_run", "policy_profile");
    accept(desk);
    lose(desk, "\",\"decision\":\"run"); /* no word that a receipt may say */
    assert_receipt(desk, "not_run", "not_started");
    accept(desk);
    assert_null(fetch(desk, desk->wanted.number));
    lose(desk, "policy_profile"); /* it may have run, whatever the broker says */
    assert_receipt(desk, "unknown", "runner_died");
}

static void results_are_such_as_can_be(void **state)
{
    struct desk *desk = *state;
    ipc_CommandRecorded reply;
    accept(desk);
    assert_null(fetch(desk, desk->wanted.number));
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
        const struct service_refusal *refusal =
            command_finished(&desk->commands, &wrong[i], desk->now, &reply);
        assert_non_null(refusal);
        assert_int_equal(refusal->reason, ipc_BAD_REQUEST);
        assert_int_equal(query(desk), ipc_COMMAND_STARTED);
    }
    ipc_CommandFinished lost = {.number = desk->wanted.number, .end = ipc_END_LOST};
    assert_null(command_finished(&desk->commands, &lost, desk->now, &reply));
    assert_receipt(desk, "unknown", "runner_died");
}

/* ---------------------------------------------------------------- refusals, in their order */

static void refusals_have_their_reasons(void **state)
{
    struct desk *desk = *state;
    struct command_sample wrong = sample(desk);
    wrong.audience = "group:others";
    assert_refused(desk, wrong, ipc_DECISION_AUDIENCE);
    wrong = sample(desk);
    wrong.exp = wrong.nbf;
    assert_refused(desk, wrong, ipc_DECISION_VALIDITY);
    wrong.exp = wrong.nbf + WEEK + 1;
    assert_refused(desk, wrong, ipc_DECISION_VALIDITY);
    wrong = sample(desk);
    wrong.nbf = NOW_S + 1;
    assert_refused(desk, wrong, ipc_DECISION_NOT_YET_VALID);
    wrong = sample(desk);
    wrong.nbf = NOW_S - 10;
    wrong.exp = NOW_S;
    assert_refused(desk, wrong, ipc_DECISION_EXPIRED);
    wrong.exp = NOW_S + 1; /* valid, but from before the store was made */
    assert_refused(desk, wrong, ipc_DECISION_EPOCH);
    wrong = sample(desk);
    wrong.profile = "user";
    assert_refused(desk, wrong, ipc_DECISION_PROFILE);
    wrong = sample(desk);
    wrong.key = SAMPLE_CUSTOMER;
    assert_refused(desk, wrong, ipc_DECISION_COUNTERSIGNATURE);
    wrong = sample(desk);
    wrong.more = ",\"seq\":7";
    assert_refused(desk, wrong, ipc_DECISION_PAYLOAD);
    assert_int_equal(desk->commands.refused, 9);
    accept(desk);
}

static void the_borders_of_its_validity(void **state)
{
    struct desk *desk = *state;
    struct command_sample border = sample(desk);
    border.exp = NOW_S + WEEK;
    border.nbf = NOW_S;
    assert_int_equal(offer(desk, border), ipc_DECISION_ACCEPTED);
    assert_true(command_wanted(&desk->commands, &desk->wanted));
    lose(desk, "no_program");
    border = sample(desk);
    border.exp = NOW_S + 100;
    desk->now.unix_ms = (NOW_S + 100) * 1000 - 1;
    assert_int_equal(offer(desk, border), ipc_DECISION_ACCEPTED);
    assert_true(command_wanted(&desk->commands, &desk->wanted));
    lose(desk, "no_program");
    border = sample(desk);
    border.exp = NOW_S + 100;
    desk->now.unix_ms = (NOW_S + 100) * 1000;
    assert_refused(desk, border, ipc_DECISION_EXPIRED);
}

static void replays_and_sequence(void **state)
{
    struct desk *desk = *state;
    struct command_sample first;
    run_whole(desk);
    assert_int_equal(offer_again(desk, 1), ipc_DECISION_REPLAYED);
    assert_non_null(strstr(receipt_text(desk), "\"decision\":\"run\"")); /* the first time's */
    assert_memory_equal(desk->said.token, desk->wanted.token, 16);
    command_sample_malleate(desk->token, desk->length);
    assert_int_equal(offer_again(desk, 1), ipc_DECISION_REPLAYED);
    assert_memory_not_equal(desk->said.token, desk->wanted.token, 16);
    assert_non_null(strstr(receipt_text(desk), "\"decision\":\"run\""));
    first = sample(desk); /* another number, the same id */
    first.jti = 1;
    assert_int_equal(offer(desk, first), ipc_DECISION_REPLAYED);
    first = sample(desk); /* another id, the same number */
    first.seq = 1;
    assert_int_equal(offer(desk, first), ipc_DECISION_REPLAYED);
    begin(desk);
    assert_int_equal(offer_again(desk, 1), ipc_DECISION_REPLAYED);
    desk->seq = 10;
    run_whole(desk);
    first = sample(desk);
    first.seq = 5;
    assert_refused(desk, first, ipc_DECISION_SEQUENCE);
}

static void clocks_that_are_set(void **state)
{
    struct desk *desk = *state;
    struct command_sample later = sample(desk);
    desk->now.unix_ms -= 120001;
    later.nbf = NOW_S - 1000;
    assert_refused(desk, later, ipc_DECISION_CLOCK);
    desk->now.unix_ms = (NOW_S + 10 * 86400) * 1000; /* forward: seen by any authentic token */
    assert_refused(desk, sample(desk), ipc_DECISION_EXPIRED);
    desk->now.unix_ms = NOW_S * 1000; /* and back */
    assert_refused(desk, sample(desk), ipc_DECISION_CLOCK);
    begin(desk);
    assert_refused(desk, sample(desk), ipc_DECISION_CLOCK);
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
    while (looked_at < 10000 && offer_again(desk, 1) == ipc_DECISION_MALFORMED)
        looked_at++;
    assert_in_range(looked_at, 1000, 5000);
    assert_int_equal(desk->said.decision, ipc_DECISION_RATIONED);
    assert_true(desk->commands.log.left_out > 900); /* and do not fill the log */
    desk->now.mono_ms += 1000;
    assert_int_equal(offer_again(desk, 1), ipc_DECISION_MALFORMED);
}

/* ---------------------------------------------------------------- revocation */

static ipc_Decision offer_revocation(struct desk *desk, uint32_t uid, enum sample_key key,
                                     const char *kids)
{
    char payload[256];
    int length = snprintf(payload, sizeof payload,
                          "{\"typ\":\"cloister-revocation\",\"ver\":1,\"revoked\":[%s]}", kids);
    desk->length = sample_sign(desk->token, key, payload, (size_t)length);
    return offer_again(desk, uid);
}

static void a_revoked_key_is_revoked_for_good(void **state)
{
    struct desk *desk = *state;
    assert_int_equal(offer_revocation(desk, 1, SAMPLE_DIAGNOSTIC, "\"ops-2\""),
                     ipc_DECISION_PROFILE);
    accept(desk);
    assert_int_equal(offer_revocation(desk, 1, SAMPLE_ADMIN, "\"ops-1\""), ipc_DECISION_BUSY);
    assert_int_equal(offer_revocation(desk, 0, SAMPLE_ADMIN, "\"ops-1\",\"of-another-build\""),
                     ipc_DECISION_REVOCATION); /* an administrator need not wait */
    assert_int_equal(desk->said.revoked, 2);
    assert_null(fetch(desk, desk->wanted.number)); /* what was accepted before goes on */
    assert_null(finish(desk, desk->wanted.number, 0));
    for (int restarted = 0; restarted < 2; restarted++) {
        ipc_CommandStatusReply status;
        assert_int_equal(offer(desk, sample(desk)), ipc_DECISION_REVOKED);
        assert_int_equal(desk->commands.receipt_length, 0);
        assert_null(command_status(&desk->commands, &status));
        assert_int_equal(status.keys_count, SAMPLE_KEYS);
        assert_true(status.keys[SAMPLE_DIAGNOSTIC].revoked);
        assert_false(status.keys[SAMPLE_ADMIN].revoked);
        begin(desk);
    }
    assert_int_equal(offer_revocation(desk, 1, SAMPLE_ADMIN, "\"ops-2\""), ipc_DECISION_REVOCATION);
    assert_int_equal(offer_revocation(desk, 1, SAMPLE_ADMIN, "\"ops-2\""), ipc_DECISION_REVOKED);
}

static void an_administrator_offers_revocations_alone(void **state)
{
    struct desk *desk = *state;
    struct command_sample command = sample(desk);
    desk->length = command_sample_sign(desk->token, &command);
    assert_int_equal(offer_again(desk, 0), ipc_DECISION_PAYLOAD);
    assert_false(command_wanted(&desk->commands, &desk->wanted));
    assert_int_equal(offer_again(desk, 1), ipc_DECISION_ACCEPTED);
}

/* ---------------------------------------------------------------- restarts and a lost store */

static void a_restart_ends_what_was_under_way(void **state)
{
    struct desk *desk = *state;
    accept(desk);
    begin(desk);
    assert_receipt(desk, "not_run", "agent_stopped");
    assert_int_equal(fetch(desk, desk->wanted.number)->reason, ipc_NO_SUCH);
    accept(desk);
    assert_null(fetch(desk, desk->wanted.number));
    begin(desk);
    assert_receipt(desk, "unknown", "agent_stopped");
    assert_non_null(strstr(receipt_text(desk), "\"started_ms\":1790000000000"));
    assert_int_equal(finish(desk, desk->wanted.number, 0)->reason, ipc_NO_SUCH);
    begin(desk);
    assert_receipt(desk, "unknown", "agent_stopped");
}

static void a_runner_that_never_asks_is_given_up(void **state)
{
    struct desk *desk = *state;
    accept(desk);
    desk->now.mono_ms += 7199999;
    assert_int_equal(offer_again(desk, 1), ipc_DECISION_BUSY);
    desk->now.mono_ms += 1;
    assert_int_equal(offer_again(desk, 1), ipc_DECISION_REPLAYED);
    assert_receipt(desk, "not_run", "not_started");
    assert_int_equal(fetch(desk, desk->wanted.number)->reason, ipc_NO_SUCH);
    accept(desk);
    assert_null(fetch(desk, desk->wanted.number));
    desk->now.mono_ms += 60000 + 299999; /* its own time, and some */
    assert_int_equal(offer_again(desk, 1), ipc_DECISION_BUSY);
    desk->now.mono_ms += 1;
    assert_int_equal(offer_again(desk, 1), ipc_DECISION_REPLAYED);
    assert_receipt(desk, "unknown", "runner_died");
}

static void remove_store(const struct desk *desk)
{
    char command[128];
    snprintf(command, sizeof command, "rm %s/commands*", desk->path);
    assert_int_equal(system(command), 0);
}

static void without_a_store_everything_is_refused(void **state)
{
    struct desk *desk = *state;
    ipc_CommandStatusReply status;
    ipc_StoreResetDone done;
    run_whole(desk);
    remove_store(desk);
    begin(desk);
    assert_refused(desk, sample(desk), ipc_DECISION_STORE);
    struct command_sample other = sample(desk);
    other.audience = "group:others";
    assert_refused(desk, other, ipc_DECISION_AUDIENCE); /* that comes first */
    assert_int_equal(offer_revocation(desk, 1, SAMPLE_ADMIN, "\"ops-1\""), ipc_DECISION_STORE);
    ipc_CommandQuery request = {0};
    ipc_CommandQueryReply reply;
    assert_int_equal(command_query(&desk->commands, &request, desk->now, &reply)->reason,
                     ipc_FAILED); /* not "unknown" */
    assert_null(command_status(&desk->commands, &status));
    assert_non_null(strstr(status.store, "missing"));
    assert_int_equal(command_reset(&desk->commands, 1000, desk->now, &done)->reason,
                     ipc_NOT_ALLOWED);
    assert_null(command_reset(&desk->commands, 0, desk->now, &done));
    assert_int_equal(done.epoch_ms, (NOW_S + 1) * 1000);
    assert_refused(desk, sample(desk), ipc_DECISION_EPOCH);
    desk->now.unix_ms += 1000;
    struct command_sample fresh = sample(desk);
    fresh.nbf = NOW_S + 1;
    assert_int_equal(offer(desk, fresh), ipc_DECISION_ACCEPTED);
    assert_null(command_status(&desk->commands, &status));
    assert_string_equal(status.store, "");
}

/* The store goes while a command runs: its end is written down once there is a store again. */
static void an_end_waits_for_a_store(void **state)
{
    struct desk *desk = *state;
    ipc_StoreResetDone done;
    accept(desk);
    assert_null(fetch(desk, desk->wanted.number));
    remove_store(desk);
    assert_int_equal(finish(desk, desk->wanted.number, 5)->reason, ipc_FAILED);
    assert_int_equal(query(desk), ipc_COMMAND_STARTED); /* no receipt before it is durable */
    assert_refused(desk, sample(desk), ipc_DECISION_STORE);
    assert_null(command_reset(&desk->commands, 0, desk->now, &done));
    assert_receipt(desk, "run", "");
    assert_non_null(strstr(receipt_text(desk), "\"exit\":5"));
}

/* Nothing is handed to a runner that could not be written down. */
static void no_start_without_a_store(void **state)
{
    struct desk *desk = *state;
    accept(desk);
    remove_store(desk);
    assert_int_equal(fetch(desk, desk->wanted.number)->reason, ipc_FAILED);
    assert_int_equal(desk->commands.order_length, 0);
    assert_true(sodium_is_zero(desk->commands.order, 64));
    assert_int_equal(fetch(desk, desk->wanted.number)->reason, ipc_NO_SUCH);
}

/* ---------------------------------------------------------------- a disk that fails */

/* Without the tick before it, which would open the store again. */
static ipc_Decision offer_at_once(struct desk *desk)
{
    assert_null(command_offer(&desk->commands, 1, (const uint8_t *)desk->token, desk->length,
                              desk->now, &desk->said));
    return desk->said.decision;
}

static int failing; /* the sync that fails, counted down to 1; 0: none */

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
    if (failing == 0 || --failing != 0)
        return __real_fdatasync(fd);
    errno = EIO;
    return -1;
}

/* Time goes by, until the store is opened again; then the next command is taken. */
static void come_back(struct desk *desk)
{
    failing = 0;
    assert_false(replay_store_usable(&desk->commands.store));
    desk->now.mono_ms += 5000;
    command_tick(&desk->commands, desk->now);
    assert_string_equal(replay_store_trouble(&desk->commands.store), "");
}

/* Each sync in turn: of the log, which may hold the record all the same, and of the anchor. */
static void a_failing_acceptance(void **state)
{
    struct desk *desk = *state;
    for (int sync = 1; sync <= 2; sync++) {
        struct command_sample wanted = sample(desk);
        failing = sync;
        assert_int_equal(offer(desk, wanted), ipc_DECISION_STORE);
        assert_false(command_wanted(&desk->commands, &desk->wanted));
        memcpy(desk->wanted.token, desk->said.token, sizeof desk->said.token);
        come_back(desk);
        assert_receipt(desk, "not_run", "agent_stopped"); /* it stands in the log */
        run_whole(desk);
    }
}

static void a_failing_start(void **state)
{
    struct desk *desk = *state;
    for (int sync = 1; sync <= 2; sync++) {
        accept(desk);
        failing = sync;
        assert_int_equal(fetch(desk, desk->wanted.number)->reason, ipc_FAILED);
        assert_int_equal(desk->commands.order_length, 0);
        assert_int_equal(offer_at_once(desk), ipc_DECISION_BUSY);
        come_back(desk);
        assert_receipt(desk, "unknown", "agent_stopped");
        run_whole(desk);
    }
}

static void a_failing_end(void **state)
{
    struct desk *desk = *state;
    for (int sync = 1; sync <= 2; sync++) {
        accept(desk);
        assert_null(fetch(desk, desk->wanted.number));
        failing = sync;
        assert_int_equal(finish(desk, desk->wanted.number, 0)->reason, ipc_FAILED);
        assert_int_equal(offer_at_once(desk), ipc_DECISION_BUSY);
        come_back(desk);
        assert_receipt(desk, "run", "");
        run_whole(desk);
    }
}

/* The broker raises the alert; it is told of each trouble once. */
static void a_lost_store_is_told_once(void **state)
{
    struct desk *desk = *state;
    ipc_VaultEvent event;
    ipc_StoreResetDone done;
    assert_false(command_event(&desk->commands, &event));
    remove_store(desk);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(offer(desk, sample(desk)), ipc_DECISION_STORE);
        assert_int_equal(command_event(&desk->commands, &event), !again);
    }
    assert_int_equal(event.kind, ipc_STORE_NOT_USABLE);
    assert_non_null(strstr(event.detail, "while it was in use"));
    assert_null(command_reset(&desk->commands, 0, desk->now, &done));
    assert_false(command_event(&desk->commands, &event));
    remove_store(desk);
    begin(desk);
    assert_true(command_event(&desk->commands, &event));
    assert_non_null(strstr(event.detail, "missing"));
}

static void status_tells_the_latest_first(void **state)
{
    struct desk *desk = *state;
    ipc_CommandStatusReply status;
    for (int i = 0; i < 20; i++)
        run_whole(desk);
    accept(desk);
    assert_null(command_status(&desk->commands, &status));
    assert_int_equal(status.recent_count, 16);
    assert_int_equal(status.receipts_waiting, 20);
    assert_int_equal(status.recent[0].phase, ipc_COMMAND_ACCEPTED);
    assert_string_equal(status.recent[0].result, "");
    assert_string_equal(status.recent[1].result, "exit 0");
    assert_string_equal(status.recent[1].summary, "/usr/bin/id -u");
    assert_string_equal(status.recent[1].kid, "ops-1");
    assert_memory_equal(status.recent[0].token, desk->wanted.token, 16);
    assert_int_equal(strncmp(status.keys[0].fingerprint, "SHA256:", 7), 0);
    assert_true(status.keys[SAMPLE_CUSTOMER].countersigns);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_command_comes_all_the_way),
        test(it_is_handed_out_once),
        test(one_at_a_time),
        test(what_never_ran_says_why),
        test(results_are_such_as_can_be),
        test(refusals_have_their_reasons),
        test(the_borders_of_its_validity),
        test(replays_and_sequence),
        test(clocks_that_are_set),
        test(what_is_not_authentic_leaves_no_trace),
        test(floods_are_rationed),
        test(a_revoked_key_is_revoked_for_good),
        test(an_administrator_offers_revocations_alone),
        test(a_restart_ends_what_was_under_way),
        test(a_runner_that_never_asks_is_given_up),
        test(without_a_store_everything_is_refused),
        test(an_end_waits_for_a_store),
        test(no_start_without_a_store),
        test(a_failing_acceptance),
        test(a_failing_start),
        test(a_failing_end),
        test(a_lost_store_is_told_once),
        test(status_tells_the_latest_first),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Signed commands and the shipped cloister-vault in its sandbox, over a real channel: a command's
 * whole life, and kills in the middle of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "command_sample.h"
#include "launched.h"
#include "order.h"
#include "report.h"

#define UPLINK_UID 64300
#define ROOT_UID   0

static struct launched vault;
static char token[TOKEN_BYTES_MAX + 1];
static size_t token_length;
static uint64_t seq;

static int set_up(void **state)
{
    (void)state;
    struct command_keys table;
    sample_table(&table, SAMPLE_KEYS);
    launched_prepare(&vault);
    launched_stamp(&vault, &table);
    launched_start(&vault, "D1");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    launched_remove(&vault);
    return 0;
}

/* ---------------------------------------------------------------- saying things */

/* What the vault has said by itself is known when it has answered something else. */
static void hear(void)
{
    static ipc_CommandStatusReply reply;
    static uint8_t blob[8192];
    ipc_CommandStatus request = {0};
    ipc_Refused refused;
    size_t length = vault.blob_length;
    assert_true(length <= sizeof blob);
    memcpy(blob, vault.blob, length);
    assert_int_equal(launched_ask(&vault, IPC_COMMAND_STATUS, 1000, &request, &reply, &refused),
                     IPC_COMMAND_STATUS_REPLY);
    memcpy(vault.blob, blob, length);
    vault.blob_length = length;
}

static ipc_TokenDecision offer_again(uint32_t uid)
{
    ipc_TokenOffer request = {0};
    ipc_TokenDecision reply;
    ipc_Refused refused;
    vault.wanted = false;
    assert_int_equal(launched_ask_with(&vault, IPC_TOKEN_OFFER, uid, &request, token, token_length,
                                       &reply, &refused),
                     IPC_TOKEN_DECISION);
    assert_false(vault.wanted); /* the decision comes first */
    hear();
    return reply;
}

static void make_token(void)
{
    uint64_t now = (uint64_t)time(NULL);
    seq++;
    token_length = command_sample_sign(token, &(struct command_sample){.key = SAMPLE_DIAGNOSTIC,
                                                                       .audience = "group:desks",
                                                                       .profile = "diagnostic",
                                                                       .seq = seq,
                                                                       .jti = (uint32_t)seq,
                                                                       .nbf = now,
                                                                       .exp = now + 600});
}

static void offer_new(void)
{
    make_token();
    ipc_TokenDecision said = offer_again(UPLINK_UID);
    assert_int_equal(said.decision, ipc_DECISION_ACCEPTED);
    assert_true(vault.wanted);
    assert_memory_equal(said.token, vault.runner.token, 16);
    assert_int_equal(vault.blob_length, 0);
}

static uint8_t report_key_of[REPORT_KEY_SIZE]; /* the last order that was fetched */

static uint16_t fetch(ipc_CommandOrder *order, ipc_Refused *refused)
{
    ipc_CommandFetch request = {.number = vault.runner.number, .slot = 4, .generation = 2};
    uint16_t type = launched_ask(&vault, IPC_COMMAND_FETCH, 64400, &request, order, refused);
    report_key(report_key_of, vault.order_key, order->tag);
    return type;
}

static uint16_t finish(ipc_Refused *refused)
{
    ipc_CommandFinished request = {.number = vault.runner.number,
                                   .end = ipc_END_EXITED,
                                   .code = 42,
                                   .has_out = true,
                                   .out = {.bytes = 5, .sha256 = {1, 2, 3}},
                                   .started_ms = 1790000000000,
                                   .ended_ms = 1790000000001};
    ipc_CommandRecorded reply;
    report_seal(&request, report_key_of);
    return launched_ask(&vault, IPC_COMMAND_FINISHED, 64400, &request, &reply, refused);
}

static ipc_CommandPhase query(void)
{
    ipc_CommandQuery request;
    ipc_CommandQueryReply reply;
    ipc_Refused refused;
    memcpy(request.token, vault.runner.token, sizeof request.token);
    assert_int_equal(
        launched_ask(&vault, IPC_COMMAND_QUERY, UPLINK_UID, &request, &reply, &refused),
        IPC_COMMAND_QUERY_REPLY);
    return reply.phase;
}

static void deliver(void)
{
    ipc_ReceiptDelivered request;
    ipc_ReceiptForgotten reply;
    ipc_Refused refused;
    memcpy(request.token, vault.runner.token, sizeof request.token);
    assert_int_equal(
        launched_ask(&vault, IPC_RECEIPT_DELIVERED, UPLINK_UID, &request, &reply, &refused),
        IPC_RECEIPT_FORGOTTEN);
}

static void public_key(uint8_t out[32])
{
    ipc_MachineIdentity request = {0};
    ipc_MachineIdentityReply reply;
    ipc_Refused refused;
    assert_int_equal(launched_ask(&vault, IPC_MACHINE_IDENTITY, 1000, &request, &reply, &refused),
                     IPC_MACHINE_IDENTITY_REPLY);
    memcpy(out, reply.key.public_key, 32);
}

/* The receipt in the last answer is signed by this machine and says that. */
static void assert_receipt(const char *says)
{
    char receipt[8192], payload[8192];
    uint8_t key[32], signature[64];
    size_t length = vault.blob_length, decoded;
    const int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
    assert_in_range(length, 300, sizeof receipt - 1);
    memcpy(receipt, vault.blob, length);
    receipt[length] = '\0';
    char *payload_part = strchr(receipt, '.') + 1, *last = strrchr(receipt, '.');
    assert_int_equal(sodium_base642bin(signature, sizeof signature, last + 1, strlen(last + 1),
                                       NULL, &decoded, NULL, variant),
                     0);
    public_key(key);
    assert_int_equal(
        crypto_sign_verify_detached(signature, (uint8_t *)receipt, (size_t)(last - receipt), key),
        0);
    assert_int_equal(sodium_base642bin((uint8_t *)payload, sizeof payload - 1, payload_part,
                                       (size_t)(last - payload_part), NULL, &decoded, NULL,
                                       variant),
                     0);
    payload[decoded] = '\0';
    if (!strstr(payload, says))
        fail_msg("%s is not in %s", says, payload);
}

/* ---------------------------------------------------------------- the life of a command */

static void it_comes_all_the_way(void **state)
{
    (void)state;
    ipc_CommandOrder reply;
    ipc_Refused refused;
    struct order order;
    struct grant grant = {.magic = GRANT_MAGIC, .slot = 4, .generation = 2, .profile = 1};
    offer_new();
    assert_int_equal(offer_again(UPLINK_UID).decision, ipc_DECISION_BUSY);
    assert_int_equal(fetch(&reply, &refused), IPC_COMMAND_ORDER);
    memcpy(grant.key, vault.order_key, sizeof grant.key);
    memcpy(grant.digest, vault.runner.digest, sizeof grant.digest);
    assert_int_equal(order_accept(&order, vault.blob, vault.blob_length, reply.tag, &grant),
                     ORDER_OK);
    assert_string_equal(order.argv[0], "/usr/bin/id");
    assert_int_equal(fetch(&reply, &refused), IPC_REFUSED);
    assert_int_equal(refused.reason, ipc_NOT_ALLOWED);
    assert_int_equal(query(), ipc_COMMAND_STARTED);
    assert_int_equal(finish(&refused), IPC_COMMAND_RECORDED);
    assert_int_equal(query(), ipc_COMMAND_ENDED);
    assert_receipt("\"decision\":\"run\",\"reason\":\"\",\"exit\":42,");
    assert_int_equal(offer_again(UPLINK_UID).decision, ipc_DECISION_REPLAYED);
    assert_receipt("\"exit\":42,");
    deliver();
    assert_int_equal(query(), ipc_COMMAND_UNKNOWN);
    assert_int_equal(offer_again(UPLINK_UID).decision, ipc_DECISION_REPLAYED);
    assert_int_equal(vault.blob_length, 0);
    launched_stop(&vault);
}

static void it_is_lost(void **state)
{
    (void)state;
    offer_new();
    ipc_CommandLost lost = {.number = vault.runner.number, .reason = "policy_profile"};
    launched_tell(&vault, IPC_COMMAND_LOST, &lost);
    assert_int_equal(query(), ipc_COMMAND_ENDED);
    assert_receipt("\"decision\":\"not_run\",\"reason\":\"policy_profile\"");
    offer_new();
    launched_stop(&vault);
}

static void it_is_killed_before_it_was_fetched(void **state)
{
    (void)state;
    ipc_CommandOrder reply;
    ipc_Refused refused;
    offer_new();
    launched_kill(&vault);
    launched_start(&vault, "D1");
    assert_int_equal(fetch(&reply, &refused), IPC_REFUSED);
    assert_int_equal(query(), ipc_COMMAND_ENDED);
    assert_receipt("\"decision\":\"not_run\",\"reason\":\"agent_stopped\"");
    assert_int_equal(offer_again(UPLINK_UID).decision, ipc_DECISION_REPLAYED);
    assert_false(vault.wanted);
    assert_receipt("\"decision\":\"not_run\",\"reason\":\"agent_stopped\"");
    deliver();
    launched_stop(&vault);
    launched_start(&vault, "D1");
    assert_int_equal(query(), ipc_COMMAND_UNKNOWN);
    assert_int_equal(offer_again(UPLINK_UID).decision, ipc_DECISION_REPLAYED);
}

static void it_is_killed_after_it_was_fetched(void **state)
{
    (void)state;
    ipc_CommandOrder reply;
    ipc_Refused refused;
    offer_new();
    assert_int_equal(fetch(&reply, &refused), IPC_COMMAND_ORDER);
    launched_kill(&vault);
    launched_start(&vault, "D1");
    assert_int_equal(finish(&refused), IPC_REFUSED);
    assert_int_equal(query(), ipc_COMMAND_ENDED);
    assert_receipt("\"decision\":\"unknown\",\"reason\":\"agent_stopped\"");
    assert_int_equal(offer_again(UPLINK_UID).decision, ipc_DECISION_REPLAYED);
    assert_false(vault.wanted);
    command_sample_malleate(token, token_length);
    assert_int_equal(offer_again(UPLINK_UID).decision, ipc_DECISION_REPLAYED);
    assert_false(vault.wanted);
}

/* ---------------------------------------------------------------- the store */

static void run_in_state(const char *what)
{
    char command[256];
    snprintf(command, sizeof command, "cd %s/state && %s", vault.home, what);
    assert_int_equal(system(command), 0);
}

static ipc_CommandStatusReply status(void)
{
    static ipc_CommandStatusReply reply;
    ipc_CommandStatus request = {0};
    ipc_Refused refused;
    assert_int_equal(launched_ask(&vault, IPC_COMMAND_STATUS, 1000, &request, &reply, &refused),
                     IPC_COMMAND_STATUS_REPLY);
    return reply;
}

static void an_older_copy_is_refused_until_a_reset(void **state)
{
    (void)state;
    ipc_StoreReset request = {0};
    ipc_StoreResetDone done;
    ipc_Refused refused;
    assert_string_equal(status().store, "");
    run_in_state("cp -p commands older");
    it_is_lost(NULL);
    run_in_state("cp -p older commands");
    launched_start(&vault, "D1");
    assert_non_null(strstr(status().store, "older than it was"));
    make_token();
    assert_int_equal(offer_again(UPLINK_UID).decision, ipc_DECISION_STORE);
    assert_receipt("\"decision\":\"refused\",\"reason\":\"store\"");
    assert_int_equal(launched_ask(&vault, IPC_STORE_RESET, 1000, &request, &done, &refused),
                     IPC_REFUSED);
    assert_int_equal(launched_ask(&vault, IPC_STORE_RESET, ROOT_UID, &request, &done, &refused),
                     IPC_STORE_RESET_DONE);
    assert_string_equal(status().store, "");
    assert_int_equal(offer_again(UPLINK_UID).decision, ipc_DECISION_EPOCH);
    run_in_state("test -f commands.bad-*");
    while ((uint64_t)time(NULL) * 1000 < done.epoch_ms)
        usleep(10000);
    offer_new();
}

static void a_store_that_is_removed_is_noticed(void **state)
{
    (void)state;
    ipc_CommandOrder reply;
    ipc_Refused refused;
    offer_new();
    run_in_state("rm commands");
    assert_int_equal(fetch(&reply, &refused), IPC_REFUSED);
    assert_int_equal(refused.reason, ipc_FAILED);
    make_token();
    assert_int_equal(offer_again(UPLINK_UID).decision, ipc_DECISION_STORE);
    launched_stop(&vault);
    launched_start(&vault, "D1");
    assert_int_equal(offer_again(UPLINK_UID).decision, ipc_DECISION_STORE);
    run_in_state("rm commands.anchor");
    launched_stop(&vault);
    launched_start(&vault, "D1");
    assert_int_equal(offer_again(UPLINK_UID).decision, ipc_DECISION_STORE);
    assert_non_null(strstr(status().store, "missing"));
}

static void its_files_are_the_vaults_alone(void **state)
{
    (void)state;
    struct stat st;
    char path[128];
    static const char *const names[] = {"commands", "commands.anchor"};
    assert_string_equal(status().store, ""); /* it has been opened */
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/state/%s", vault.home, names[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_uid, LAUNCHED_UID);
        assert_int_equal(st.st_mode & 07777, 0600);
    }
}

/* A rewriting of the log behind the lock, too. */
static void thousands_of_commands(void **state)
{
    (void)state;
    ipc_CommandOrder reply;
    ipc_Refused refused;
    for (int i = 0; i < 1100; i++) {
        offer_new();
        assert_int_equal(fetch(&reply, &refused), IPC_COMMAND_ORDER);
        assert_int_equal(finish(&refused), IPC_COMMAND_RECORDED);
        deliver();
    }
    assert_int_equal(status().receipts_waiting, 0);
    run_in_state("test $(stat -c %s commands) -lt 300000"); /* 4,400 records were written */
    launched_kill(&vault);
    launched_start(&vault, "D1");
    assert_int_equal(offer_again(UPLINK_UID).decision, ipc_DECISION_REPLAYED);
    offer_new();
}

static void an_administrator_revokes(void **state)
{
    (void)state;
    static const char payload[] =
        "{\"typ\":\"cloister-revocation\",\"ver\":1,\"revoked\":[\"ops-1\"]}";
    make_token();
    assert_int_equal(offer_again(ROOT_UID).decision, ipc_DECISION_PAYLOAD);
    token_length = sample_sign(token, SAMPLE_ADMIN, payload, strlen(payload));
    assert_int_equal(offer_again(ROOT_UID).decision, ipc_DECISION_REVOCATION);
    launched_kill(&vault);
    launched_start(&vault, "D1");
    make_token();
    assert_int_equal(offer_again(UPLINK_UID).decision, ipc_DECISION_REVOKED);
    assert_true(status().keys[SAMPLE_DIAGNOSTIC].revoked);
}

/* ---------------------------------------------------------------- without keys */

static void the_shipped_program_has_no_keys(void **state)
{
    (void)state;
    launched_stop(&vault);
    snprintf(vault.program, sizeof vault.program, LAUNCHED_PROGRAMS "/cloister-vault");
    launched_start(&vault, "D1");
    make_token();
    if (status().keys_count > 0)
        skip(); /* it was built with some */
    assert_int_equal(offer_again(UPLINK_UID).decision, ipc_DECISION_NO_KEYS);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(it_comes_all_the_way),
        test(it_is_lost),
        test(it_is_killed_before_it_was_fetched),
        test(it_is_killed_after_it_was_fetched),
        test(an_older_copy_is_refused_until_a_reset),
        test(a_store_that_is_removed_is_noticed),
        test(its_files_are_the_vaults_alone),
        test(thousands_of_commands),
        test(an_administrator_revokes),
        test(the_shipped_program_has_no_keys),
    };
    if (geteuid() != 0) {
        print_message("needs root to start the launcher\n");
        return 77;
    }
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}

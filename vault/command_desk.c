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

#include "report.h"
#include "words.h"

static struct token tokens[2];
const struct grant desk_grant = {
    .magic = GRANT_MAGIC, .key = {1, 2, 3}, .groups = {"desks", "floor-2"}};

/* As a new process would begin, in main.c's order. */
void desk_begin(struct desk *desk)
{
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
                                        .grant = &desk_grant,
                                        .folder = desk->folder};
    assert_int_equal(command_begin(&desk->commands, &setup, desk->now), 0);
    command_open(&desk->commands, desk->now);
    hardware_identify(&hardware.part[HARDWARE_DISK], HARDWARE_READABLE, "D1", 2);
    assert_int_equal(key_store_open(desk->keys, desk->folder, &hardware, desk->now.unix_ms, &notes),
                     0);
}

int desk_set_up(void **state)
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
    desk_begin(desk);
    *state = desk;
    return 0;
}

int desk_tear_down(void **state)
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

ipc_Decision desk_offer_again(struct desk *desk, uint32_t uid)
{
    command_tick(&desk->commands, desk->now);
    assert_null(command_offer(&desk->commands, uid, (const uint8_t *)desk->token, desk->length,
                              desk->now, &desk->said));
    return desk->said.decision;
}

ipc_Decision desk_offer(struct desk *desk, struct command_sample sample)
{
    desk->length = command_sample_sign(desk->token, &sample);
    return desk_offer_again(desk, 64300);
}

/* A command that is accepted, but for what the caller changes. */
struct command_sample desk_sample(struct desk *desk)
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

void desk_accept(struct desk *desk)
{
    assert_int_equal(desk_offer(desk, desk_sample(desk)), ipc_DECISION_ACCEPTED);
    assert_true(command_wanted(&desk->commands, &desk->wanted));
    assert_false(command_wanted(&desk->commands, &desk->wanted));
}

const struct service_refusal *desk_fetch(struct desk *desk, uint32_t number)
{
    ipc_CommandFetch request = {.number = number, .slot = 3, .generation = 9};
    ipc_CommandOrder reply;
    const struct service_refusal *refusal =
        command_fetch(&desk->commands, &request, desk->now, &reply);
    if (!refusal)
        memcpy(desk->order_tag, reply.tag, sizeof desk->order_tag);
    return refusal;
}

void desk_seal(const struct desk *desk, ipc_CommandFinished *report)
{
    uint8_t key[REPORT_KEY_SIZE];
    report_key(key, desk_grant.key, desk->order_tag);
    report_seal(report, key);
}

const struct service_refusal *desk_finish(struct desk *desk, uint32_t number, uint32_t code)
{
    ipc_CommandFinished request = {.number = number,
                                   .end = ipc_END_EXITED,
                                   .code = code,
                                   .started_ms = desk->now.unix_ms,
                                   .ended_ms = desk->now.unix_ms + 1};
    ipc_CommandRecorded reply;
    desk_seal(desk, &request);
    return command_finished(&desk->commands, &request, desk->now, &reply);
}

void desk_run_whole(struct desk *desk)
{
    desk_accept(desk);
    assert_null(desk_fetch(desk, desk->wanted.number));
    assert_null(desk_finish(desk, desk->wanted.number, 0));
}

void desk_lose(struct desk *desk, const char *reason)
{
    ipc_CommandLost request = {.number = desk->wanted.number};
    snprintf(request.reason, sizeof request.reason, "%s", reason);
    command_lost(&desk->commands, &request, desk->now);
}

/* The payload of the receipt that the last answer carried, or "". */
const char *desk_receipt_text(struct desk *desk)
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

ipc_CommandPhase desk_query(struct desk *desk)
{
    ipc_CommandQuery request;
    ipc_CommandQueryReply reply;
    memcpy(request.token, desk->wanted.token, sizeof request.token);
    assert_null(command_query(&desk->commands, &request, desk->now, &reply));
    return reply.phase;
}

void desk_assert_receipt(struct desk *desk, const char *decision, const char *reason)
{
    char expected[128];
    assert_int_equal(desk_query(desk), ipc_COMMAND_ENDED);
    snprintf(expected, sizeof expected, "\"decision\":\"%s\",\"reason\":\"%s\"", decision, reason);
    if (!strstr(desk_receipt_text(desk), expected))
        fail_msg("%s is not in %s", expected, desk_receipt_text(desk));
}

void desk_assert_refused(struct desk *desk, struct command_sample wrong, ipc_Decision decision)
{
    char expected[128];
    assert_string_equal(decision_word(desk_offer(desk, wrong)), decision_word(decision));
    snprintf(expected, sizeof expected, "\"decision\":\"refused\",\"reason\":\"%s\"",
             decision_word(decision));
    if (decision_is_authentic(decision) && decision != ipc_DECISION_REPLAYED)
        assert_non_null(strstr(desk_receipt_text(desk), expected));
    else
        assert_int_equal(desk->commands.receipt_length, 0);
    assert_false(command_wanted(&desk->commands, &desk->wanted));
}

ipc_Decision desk_revoke(struct desk *desk, uint32_t uid, enum sample_key key, const char *kids)
{
    char payload[256];
    int length = snprintf(payload, sizeof payload,
                          "{\"typ\":\"cloister-revocation\",\"ver\":1,\"revoked\":[%s]}", kids);
    desk->length = sample_sign(desk->token, key, payload, (size_t)length);
    return desk_offer_again(desk, uid);
}

#include "command_steps.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "report.h"
#include "words.h"

/*
 * The broker says of every runner when it is gone; this is for a broker that does not. The runner
 * before may hold undelivered output for an hour, and another one begins when it is gone.
 */
#define FETCH_WITHIN_MS  7200000
#define FINISH_WITHIN_MS 300000

uint32_t command_revoked_keys(const struct command_service *service)
{
    const struct command_keys *table = token_verifier_keys(service->setup.verifier);
    const struct replay_state *known = replay_store_known(&service->store);
    uint32_t revoked = 0;
    for (uint32_t i = 0; i < table->count && i < COMMAND_KEYS_MAX; i++) {
        const struct replay_key *key = replay_state_key(known, table->keys[i].kid);
        if (key && key->revoked)
            revoked |= 1u << i;
    }
    return revoked;
}

void command_claims(struct receipt *out, const struct token *token)
{
    memcpy(out->token, token->id, sizeof out->token);
    snprintf(out->kid, sizeof out->kid, "%s", token->kid);
    out->has_claims = token->known == TOKEN_COMMAND;
    if (!out->has_claims)
        return;
    memcpy(out->jti, token->jti, sizeof out->jti);
    out->seq = token->seq;
    out->profile = token->profile;
}

/* ---------------------------------------------------------------- acceptance */

static ipc_Decision check_machine(const struct command_service *service)
{
    char machine[MACHINE_ID_TEXT_SIZE];
    machine_id_text(machine, key_store_public(service->setup.keys)->id);
    return token_is_for(service->offered, machine, service->groups, service->group_count)
               ? ipc_DECISION_ACCEPTED
               : ipc_DECISION_AUDIENCE;
}

static ipc_Decision check_time(struct command_service *service, struct command_time now)
{
    ipc_Decision decision = token_validity(service->offered);
    if (decision != ipc_DECISION_ACCEPTED)
        return decision;
    if (!replay_store_clock(&service->store, now.unix_ms, REPLAY_TIME_STEP_MS))
        return ipc_DECISION_CLOCK;
    return token_window(service->offered, now.unix_ms);
}

static ipc_Decision check_replay(struct command_service *service, const struct receipt *receipt,
                                 struct command_time now)
{
    replay_store_make_room(&service->store, now.unix_ms);
    switch (
        replay_state_admit(replay_store_known(&service->store), receipt, service->offered->nbf)) {
    case REPLAY_NEW:
        return ipc_DECISION_ACCEPTED;
    case REPLAY_EPOCH:
        return ipc_DECISION_EPOCH;
    case REPLAY_REPLAYED:
        return ipc_DECISION_REPLAYED;
    case REPLAY_SEQUENCE:
        return ipc_DECISION_SEQUENCE;
    case REPLAY_FULL:
        break;
    }
    if (command_may_log(service, true, now))
        log_error("the replay store is full: receipts wait to be collected, or too many commands "
                  "have not expired");
    return ipc_DECISION_STORE;
}

static void want_runner(struct command_service *service, struct command_time now)
{
    const struct token *token = service->offered;
    struct order order;
    service->current = (struct command_under_way){
        .number = ++service->last_number,
        .deadline_ms = now.mono_ms + FETCH_WITHIN_MS,
    };
    memcpy(service->current.token, token->id, sizeof service->current.token);
    token_order(&order, token, 0, 0);
    ipc_RunnerWanted *wanted = &service->wanted;
    *wanted = (ipc_RunnerWanted){.number = service->current.number, .profile = token->profile};
    order_digest(wanted->digest, &order);
    memcpy(wanted->token, token->id, sizeof wanted->token);
    memcpy(wanted->id, token->jti, sizeof wanted->id);
    snprintf(wanted->kid, sizeof wanted->kid, "%s", token->kid);
    service->wants = true;
    log_notice("a command of %s was accepted for profile %s: %s", token->kid,
               profile_word(token->profile), token->summary);
}

ipc_Decision command_accept(struct command_service *service, struct command_time now)
{
    const struct token *token = service->offered;
    struct replay_command command = {.exp = token->exp};
    ipc_Decision decision = check_machine(service);
    if (decision == ipc_DECISION_ACCEPTED && !replay_store_usable(&service->store))
        decision = ipc_DECISION_STORE;
    if (decision == ipc_DECISION_ACCEPTED)
        decision = check_time(service, now);
    command_claims(&command.receipt, token);
    if (decision == ipc_DECISION_ACCEPTED)
        decision = check_replay(service, &command.receipt, now);
    if (decision != ipc_DECISION_ACCEPTED)
        return decision;
    snprintf(command.summary, sizeof command.summary, "%s", token->summary);
    if (replay_store_accept(&service->store, &command, now.unix_ms))
        return ipc_DECISION_STORE;
    want_runner(service, now);
    return ipc_DECISION_ACCEPTED;
}

void command_swap(struct command_service *service)
{
    struct token *spare = service->accepted;
    service->accepted = service->offered;
    service->offered = spare;
}

ipc_Decision command_revoke(struct command_service *service, struct command_time now)
{
    const struct token *token = service->offered;
    if (!replay_store_usable(&service->store))
        return ipc_DECISION_STORE;
    for (uint32_t i = 0; i < token->revoked_count; i++) {
        const struct replay_key *key =
            replay_state_key(replay_store_known(&service->store), token->revoked_kids[i]);
        if (key && key->revoked)
            continue; /* a list may come again as often as somebody likes */
        if (replay_store_revoke(&service->store, token->revoked_kids[i], now.unix_ms))
            return ipc_DECISION_STORE;
        log_notice("the command key %s is revoked, says %s", token->revoked_kids[i], token->kid);
    }
    return ipc_DECISION_REVOCATION;
}

/* ---------------------------------------------------------------- the end */

bool command_is_current(const struct command_service *service,
                        const uint8_t token[ORDER_TOKEN_SIZE])
{
    return service->current.number != 0 &&
           memcmp(service->current.token, token, ORDER_TOKEN_SIZE) == 0;
}

void command_give_up(struct receipt *receipt, bool started, const char *reason,
                     struct command_time now)
{
    const char *word = started                ? unknown_word(reason) ? reason : "runner_died"
                       : not_run_word(reason) ? reason
                                              : "not_started";
    receipt->decision = started ? RECEIPT_UNKNOWN : RECEIPT_NOT_RUN;
    snprintf(receipt->reason, sizeof receipt->reason, "%s", word);
    receipt->ended_ms = now.unix_ms;
}

bool command_over(struct command_service *service, const struct receipt *receipt,
                  struct command_time now)
{
    char id[2 * ORDER_TOKEN_SIZE + 1];
    sodium_bin2hex(id, sizeof id, receipt->token, sizeof receipt->token);
    service->current = (struct command_under_way){0};
    bool durable = replay_store_finish(&service->store, receipt, now.unix_ms) == 0;
    if (!durable) {
        service->owes = true;
        service->owed = *receipt;
    }
    log_notice("command %s: %s %s", id, receipt_decision_word(receipt->decision), receipt->reason);
    return durable;
}

void command_close(struct command_service *service, const char *reason, struct command_time now)
{
    struct receipt receipt = {0};
    memcpy(receipt.token, service->current.token, sizeof receipt.token);
    command_give_up(&receipt, service->current.started, reason, now);
    command_over(service, &receipt, now);
}

/* ---------------------------------------------------------------- its runner */

/* Fills the order; false if it cannot be written, which token_verify() has ruled out. */
static bool write_order(struct command_service *service, const ipc_CommandFetch *request,
                        ipc_CommandOrder *out)
{
    struct order order;
    token_order(&order, service->accepted, request->slot, request->generation);
    service->order_length = order_write(service->order, sizeof service->order, &order);
    order_tag(out->tag, service->order, service->order_length, service->setup.grant->key);
    return service->order_length > 0;
}

const struct service_refusal *command_fetch(struct command_service *service,
                                            const ipc_CommandFetch *request,
                                            struct command_time now, ipc_CommandOrder *out)
{
    struct command_under_way *current = &service->current;
    memset(out, 0, sizeof *out);
    service->order_length = 0;
    if (current->number == 0 || request->number != current->number)
        return service_refuse(&service->refusal, ipc_NO_SUCH,
                              "no command of that number is under way");
    if (current->started)
        return service_refuse(&service->refusal, ipc_NOT_ALLOWED, "it was handed out already");
    /* It may have waited long for a runner, and its signer may be a thief. */
    if (command_revoked_keys(service) >> service->accepted->key & 1) {
        command_close(service, "revoked", now);
        return service_refuse(&service->refusal, ipc_NOT_ALLOWED, "its key was revoked since");
    }
    if (!write_order(service, request, out)) {
        command_close(service, "not_started", now);
        return service_refuse(&service->refusal, ipc_FAILED, "the order cannot be written");
    }
    if (replay_store_start(&service->store, current->token, now.unix_ms)) {
        sodium_memzero(service->order, service->order_length);
        sodium_memzero(out, sizeof *out);
        service->order_length = 0;
        command_close(service, "not_started", now);
        return service_refuse(&service->refusal, ipc_FAILED, "%s",
                              "the replay store cannot be written");
    }
    current->started = true;
    memcpy(current->order_tag, out->tag, sizeof current->order_tag);
    current->deadline_ms = now.mono_ms + service->accepted->time_ms + FINISH_WITHIN_MS;
    return NULL;
}

static void take_stream(struct receipt_stream *out, bool given, const ipc_StreamResult *from)
{
    static const uint8_t of_nothing[32] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14,
                                           0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
                                           0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c,
                                           0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};
    out->bytes = given ? from->bytes : 0;
    out->dropped = given ? from->dropped : 0;
    memcpy(out->sha256, given ? from->sha256 : of_nothing, sizeof out->sha256);
}

/* Whether the runner that had the order says so, and not the broker in its name. */
static bool is_the_runners(const struct command_service *service,
                           const ipc_CommandFinished *request)
{
    uint8_t key[REPORT_KEY_SIZE];
    report_key(key, service->setup.grant->key, service->current.order_tag);
    bool holds = report_holds(request, key);
    sodium_memzero(key, sizeof key);
    return holds;
}

const struct service_refusal *command_finished(struct command_service *service,
                                               const ipc_CommandFinished *request,
                                               struct command_time now, ipc_CommandRecorded *out)
{
    const struct command_under_way *current = &service->current;
    struct receipt receipt = {.decision = RECEIPT_RUN,
                              .end = request->end,
                              .code = request->code,
                              .limit = request->limit,
                              .started_ms = request->started_ms,
                              .ended_ms = request->ended_ms};
    memset(out, 0, sizeof *out);
    if (current->number == 0 || request->number != current->number || !current->started)
        return service_refuse(&service->refusal, ipc_NO_SUCH,
                              "no command of that number was started");
    if (!is_the_runners(service, request))
        return service_refuse(&service->refusal, ipc_NOT_ALLOWED,
                              "that is not the word of the command's runner");
    memcpy(receipt.token, current->token, sizeof receipt.token);
    take_stream(&receipt.out, request->has_out, &request->out);
    take_stream(&receipt.err, request->has_err, &request->err);
    if (request->end == ipc_END_LOST)
        command_give_up(&receipt, true, "runner_died", now);
    else if (!receipt_result_is_valid(&receipt) || receipt.started_ms >> 53 ||
             receipt.ended_ms >> 53)
        return service_refuse(&service->refusal, ipc_BAD_REQUEST, "no command can have ended so");
    if (receipt.ended_ms == 0)
        receipt.ended_ms = now.unix_ms;
    return command_over(service, &receipt, now)
               ? NULL
               : service_refuse(&service->refusal, ipc_FAILED, "%s",
                                "the replay store cannot be written");
}

void command_lost(struct command_service *service, const ipc_CommandLost *request,
                  struct command_time now)
{
    if (service->current.number != 0 && request->number == service->current.number)
        command_close(service, request->reason, now);
}

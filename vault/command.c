#include "command.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "command_steps.h"
#include "log.h"
#include "words.h"

/* Tokens that are looked at: a burst, then 200 a second. */
#define OFFER_BURST       2048
#define OFFER_INTERVAL_MS 5

/* Lines about refusals, of some 200 bytes: a burst, then some 5 MB a day, whatever comes. */
#define AUTHENTIC_LINES   64
#define AUTHENTIC_LINE_MS 5000
#define STRANGE_LINES     32
#define STRANGE_LINE_MS   10000

int command_begin(struct command_service *service, const struct command_setup *setup,
                  struct command_time now)
{
    memset(service, 0, sizeof *service);
    service->setup = *setup;
    service->offered = setup->tokens[0];
    service->accepted = setup->tokens[1];
    for (size_t i = 0; i < GRANT_GROUPS_MAX && setup->grant->groups[i][0]; i++)
        service->groups[service->group_count++] = setup->grant->groups[i];
    ration_begin(&service->offers, OFFER_BURST, OFFER_INTERVAL_MS, now.mono_ms);
    log_budget_begin(&service->log, AUTHENTIC_LINES, AUTHENTIC_LINE_MS, now.mono_ms);
    log_budget_begin(&service->log_strangers, STRANGE_LINES, STRANGE_LINE_MS, now.mono_ms);
    return replay_store_begin(&service->store, setup->folder, now.mono_ms);
}

void command_end(struct command_service *service)
{
    replay_store_end(&service->store);
}

/* ---------------------------------------------------------------- what is left behind */

/* Ends what nobody will end any more, except for the command that is under way now. */
static void settle(struct command_service *service, struct command_time now)
{
    const struct replay_state *known = replay_store_known(&service->store);
    if (service->settled || !replay_store_usable(&service->store))
        return;
    service->settled = true;
    for (size_t i = 0; i < known->command_count && service->settled; i++) {
        const struct replay_command *command = &known->commands[i];
        const uint8_t *token = command->receipt.token;
        if (command->phase == ipc_COMMAND_ENDED || command_is_current(service, token) ||
            (service->owes && memcmp(service->owed.token, token, ORDER_TOKEN_SIZE) == 0))
            continue;
        struct receipt receipt = command->receipt;
        command_give_up(&receipt, command->phase == ipc_COMMAND_STARTED, "agent_stopped", now);
        service->settled = replay_store_finish(&service->store, &receipt, now.unix_ms) == 0;
    }
}

void command_open(struct command_service *service, struct command_time now)
{
    replay_store_open(&service->store, now.unix_ms);
    settle(service, now);
}

/*
 * Writes down what could not be written before. A start that failed half-way may stand in the store
 * after all: nobody was told the order, but that is not what the store can say then.
 */
static void pay(struct command_service *service, struct command_time now)
{
    struct receipt *owed = &service->owed;
    if (!service->owes || !replay_store_usable(&service->store))
        return;
    const struct replay_command *command =
        replay_state_find(replay_store_known(&service->store), owed->token);
    if (command && command->phase == ipc_COMMAND_STARTED && owed->decision == RECEIPT_NOT_RUN)
        command_give_up(owed, true, "agent_stopped", now);
    bool open = command && command->phase != ipc_COMMAND_ENDED;
    int error = open ? replay_store_finish(&service->store, owed, now.unix_ms) : 0;
    service->owes = error != 0 && error != -EINVAL; /* which settle() deals with */
}

void command_tick(struct command_service *service, struct command_time now)
{
    if (!replay_store_usable(&service->store)) {
        service->settled = false;
        replay_store_retry(&service->store, now.mono_ms, now.unix_ms);
    }
    replay_store_clock(&service->store, now.unix_ms, REPLAY_TIME_IDLE_MS);
    pay(service, now);
    settle(service, now);
    if (service->current.number && now.mono_ms >= service->current.deadline_ms)
        command_close(service, service->current.started ? "runner_died" : "not_started", now);
}

const char *command_holds_key(const struct command_service *service)
{
    return replay_store_comes_first(&service->store) ? replay_store_trouble(&service->store) : NULL;
}

bool command_wanted(struct command_service *service, ipc_RunnerWanted *out)
{
    if (!service->wants)
        return false;
    *out = service->wanted;
    service->wants = false;
    return true;
}

bool command_may_log(struct command_service *service, bool authentic, struct command_time now)
{
    return authentic ? log_budget_take(&service->log, now.mono_ms, "refused commands")
                     : log_budget_take(&service->log_strangers, now.mono_ms, "refusals");
}

bool command_event(struct command_service *service, ipc_VaultEvent *out)
{
    const char *trouble = replay_store_trouble(&service->store);
    if (strcmp(trouble, service->told) == 0)
        return false;
    snprintf(service->told, sizeof service->told, "%s", trouble);
    *out = (ipc_VaultEvent){.kind = ipc_STORE_NOT_USABLE};
    snprintf(out->detail, sizeof out->detail, "%s", trouble);
    return *trouble != '\0';
}

/* ---------------------------------------------------------------- offers */

/* Signs what is said of a token; without a key, or too often, it is said without a signature. */
static void sign(struct command_service *service, const struct receipt *receipt,
                 struct command_time now)
{
    const uint8_t *key = key_store_signing_key(service->setup.keys);
    if (signer_sign_receipt(service->setup.signer, key, now.mono_ms, receipt, service->receipt,
                            &service->receipt_length) != SIGNER_SIGNED)
        service->receipt_length = 0;
}

static void sign_refusal(struct command_service *service, ipc_Decision decision,
                         struct command_time now)
{
    struct receipt receipt = {.decision = RECEIPT_REFUSED, .ended_ms = now.unix_ms};
    command_claims(&receipt, service->offered);
    snprintf(receipt.reason, sizeof receipt.reason, "%s", decision_word(decision));
    sign(service, &receipt, now);
}

/*
 * The receipt of the first time, if it has ended. A token of its own that says the same, such as
 * one that was signed twice, has not been run: a receipt of the other would be about another.
 */
static void sign_replay(struct command_service *service, struct command_time now)
{
    const struct token *token = service->offered;
    const struct replay_command *first = replay_state_find_id(replay_store_known(&service->store),
                                                              token->kid, token->jti, token->seq);
    if (first && memcmp(first->receipt.token, token->id, sizeof token->id) != 0)
        sign_refusal(service, ipc_DECISION_REPLAYED, now);
    else if (first && first->phase == ipc_COMMAND_ENDED)
        sign(service, &first->receipt, now);
}

static void log_refusal(struct command_service *service, uint32_t uid, ipc_Decision decision,
                        struct command_time now)
{
    const struct token *token = service->offered;
    const bool seen = decision != ipc_DECISION_RATIONED;
    const bool known = seen && token->known != TOKEN_UNKNOWN; /* also one of a revoked key */
    char id[2 * ORDER_TOKEN_SIZE + 1] = "-", jti[2 * RECEIPT_JTI_SIZE + 1] = "-";
    if (!command_may_log(service, known || uid == 0, now))
        return;
    if (seen)
        sodium_bin2hex(id, sizeof id, token->id, sizeof token->id);
    if (known && token->known == TOKEN_COMMAND)
        sodium_bin2hex(jti, sizeof jti, token->jti, sizeof token->jti);
    log_error("a command was refused: %s (token %s, key %s, id %s, from %s)",
              decision_word(decision), id, known ? token->kid : "-", jti,
              uid == 0 ? "an administrator" : "the console");
}

static void refuse_token(struct command_service *service, uint32_t uid, ipc_Decision decision,
                         struct command_time now)
{
    service->refused++;
    log_refusal(service, uid, decision, now);
    if (!decision_is_authentic(decision))
        return;
    if (decision == ipc_DECISION_REPLAYED)
        sign_replay(service, now);
    else
        sign_refusal(service, decision, now);
}

static ipc_Decision decide(struct command_service *service, uint32_t uid, const uint8_t *bytes,
                           size_t length, struct command_time now)
{
    struct token *token = service->offered;
    ipc_Decision decision =
        token_verify(service->setup.verifier, token, bytes, length, command_revoked_keys(service));
    if (decision_is_authentic(decision) && replay_store_usable(&service->store))
        replay_store_clock(&service->store, now.unix_ms, REPLAY_TIME_STEP_MS);
    if (decision == ipc_DECISION_REVOCATION)
        return command_revoke(service, now);
    if (decision == ipc_DECISION_ACCEPTED && uid == 0)
        return ipc_DECISION_PAYLOAD; /* an administrator runs commands without this */
    return decision == ipc_DECISION_ACCEPTED ? command_accept(service, now) : decision;
}

static uint32_t count_revoked(const struct command_service *service)
{
    const struct replay_state *known = replay_store_known(&service->store);
    uint32_t count = 0;
    for (size_t i = 0; i < known->key_count; i++)
        count += known->keys[i].revoked;
    return count;
}

/* Until the end of the last command is durable, too, unless it never will be as things stand. */
static bool is_busy(const struct command_service *service)
{
    return service->current.number || (service->owes && service->store.state != REPLAY_STORE_LOST);
}

const struct service_refusal *command_offer(struct command_service *service, uint32_t uid,
                                            const uint8_t *bytes, size_t length,
                                            struct command_time now, ipc_TokenDecision *out)
{
    memset(out, 0, sizeof *out);
    service->receipt_length = 0;
    if (uid != 0 && is_busy(service)) {
        out->decision = ipc_DECISION_BUSY;
        return NULL;
    }
    /* The broker rations an administrator, whose revocation no flood of others must keep away. */
    if (uid != 0 && !ration_take(&service->offers, now.mono_ms)) {
        out->decision = ipc_DECISION_RATIONED;
        refuse_token(service, uid, out->decision, now);
        return NULL;
    }
    if (!key_store_signing_key(service->setup.keys))
        return service_refuse(&service->refusal, ipc_FAILED, "there is no machine key");
    out->decision = decide(service, uid, bytes, length, now);
    memcpy(out->token, service->offered->id, sizeof out->token);
    if (out->decision == ipc_DECISION_REVOCATION)
        out->revoked = count_revoked(service);
    else if (out->decision != ipc_DECISION_ACCEPTED)
        refuse_token(service, uid, out->decision, now);
    else
        command_swap(service);
    return NULL;
}

/* What is told of commands: to uplink their receipts, to people how they stand. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command_steps.h"
#include "log.h"

const struct service_refusal *command_query(struct command_service *service,
                                            const ipc_CommandQuery *request,
                                            struct command_time now, ipc_CommandQueryReply *out)
{
    memset(out, 0, sizeof *out);
    service->receipt_length = 0;
    if (!service->store.loaded)
        return service_refuse(&service->refusal, ipc_FAILED, "%s",
                              replay_store_trouble(&service->store));
    const struct replay_command *command =
        replay_state_find(replay_store_known(&service->store), request->token);
    out->phase = command ? command->phase : ipc_COMMAND_UNKNOWN;
    if (out->phase != ipc_COMMAND_ENDED)
        return NULL;
    enum signer_outcome outcome = signer_sign_receipt(
        service->setup.signer, key_store_signing_key(service->setup.keys), now.mono_ms,
        &command->receipt, service->receipt, &service->receipt_length);
    if (outcome == SIGNER_SIGNED)
        return NULL;
    service->receipt_length = 0;
    return service_refuse(&service->refusal, outcome == SIGNER_RATIONED ? ipc_TOO_MANY : ipc_FAILED,
                          "%s", signer_outcome_text(outcome));
}

const struct service_refusal *command_delivered(struct command_service *service,
                                                const ipc_ReceiptDelivered *request,
                                                struct command_time now, ipc_ReceiptForgotten *out)
{
    memset(out, 0, sizeof *out);
    if (!replay_store_usable(&service->store))
        return service_refuse(&service->refusal, ipc_FAILED, "%s",
                              replay_store_trouble(&service->store));
    return replay_store_deliver(&service->store, request->token, now.unix_ms)
               ? service_refuse(&service->refusal, ipc_FAILED, "%s",
                                "the replay store cannot be written")
               : NULL;
}

/* ---------------------------------------------------------------- status */

static void tell_key(ipc_CommandKey *out, const struct command_key *key, bool revoked)
{
    *out = (ipc_CommandKey){.profile = (ipc_CommandProfile)key->profile,
                            .countersigns = key->flags & COMMAND_KEY_COUNTERSIGNS,
                            .revokes = key->flags & COMMAND_KEY_REVOKES,
                            .revoked = revoked};
    snprintf(out->kid, sizeof out->kid, "%s", key->kid);
    _Static_assert(sizeof out->fingerprint >= COMMAND_FINGERPRINT_SIZE, "it fits");
    command_key_fingerprint(out->fingerprint, key);
}

static void tell_run(char *out, size_t capacity, const struct receipt *receipt)
{
    const char *what = receipt->end == ipc_END_EXITED      ? "exit"
                       : receipt->end == ipc_END_SIGNALLED ? "signal"
                                                           : "errno";
    const char *limit = receipt->limit == ipc_LIMIT_TIME     ? ", time limit"
                        : receipt->limit == ipc_LIMIT_OUTPUT ? ", output limit"
                                                             : "";
    snprintf(out, capacity, "%s %" PRIu32 "%s", what, receipt->code, limit);
}

static void tell_result(char *out, size_t capacity, const struct replay_command *command)
{
    const struct receipt *receipt = &command->receipt;
    if (command->phase != ipc_COMMAND_ENDED)
        *out = '\0';
    else if (receipt->decision == RECEIPT_RUN)
        tell_run(out, capacity, receipt);
    else
        snprintf(out, capacity, "%s: %s",
                 receipt->decision == RECEIPT_NOT_RUN ? "not run" : "unknown", receipt->reason);
}

static void tell_command(ipc_CommandEntry *out, const struct replay_command *command)
{
    const struct receipt *receipt = &command->receipt;
    *out = (ipc_CommandEntry){.profile = receipt->profile,
                              .phase = command->phase,
                              .accepted_ms = receipt->accepted_ms,
                              .ended_ms = receipt->ended_ms};
    memcpy(out->token, receipt->token, sizeof out->token);
    memcpy(out->id, receipt->jti, sizeof out->id);
    snprintf(out->kid, sizeof out->kid, "%s", receipt->kid);
    tell_result(out->result, sizeof out->result, command);
    snprintf(out->summary, sizeof out->summary, "%s", command->summary);
}

const struct service_refusal *command_status(struct command_service *service,
                                             ipc_CommandStatusReply *out)
{
    const struct command_keys *table = token_verifier_keys(service->setup.verifier);
    const struct replay_state *known = replay_store_known(&service->store);
    const uint32_t revoked = command_revoked_keys(service);
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < table->count && i < COMMAND_KEYS_MAX; i++)
        tell_key(&out->keys[out->keys_count++], &table->keys[i], revoked >> i & 1);
    snprintf(out->store, sizeof out->store, "%s", replay_store_trouble(&service->store));
    out->receipts_waiting = (uint32_t)replay_state_waiting(known);
    out->refused = service->refused;
    for (size_t i = 0; i < known->recent_count; i++)
        tell_command(&out->recent[out->recent_count++], &known->recent[i]);
    return NULL;
}

const struct service_refusal *command_reset(struct command_service *service, uint32_t uid,
                                            struct command_time now, ipc_StoreResetDone *out)
{
    memset(out, 0, sizeof *out);
    if (uid != 0)
        return service_refuse(&service->refusal, ipc_NOT_ALLOWED,
                              "only root resets the replay store");
    int error = replay_store_reset(&service->store, now.unix_ms);
    if (error)
        return service_refuse(&service->refusal, ipc_FAILED, "%s",
                              replay_store_trouble(&service->store));
    out->epoch_ms = replay_store_known(&service->store)->begin.epoch_ms;
    log_notice("an administrator made a new replay store");
    command_tick(service, now);
    return NULL;
}

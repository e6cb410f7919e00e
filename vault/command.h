/*
 * Signed commands, from the offer of a token to the receipt that was delivered: what the vault does
 * with each message of the schema that is about them, apart from how messages travel.
 *
 * One command is under way at a time. It is written down as accepted before a runner is wanted for
 * it, as started before the runner is told what it is to do, and its end before anybody is told of
 * it; so whatever dies in between, it runs at most once and gets a receipt. docs/commands.md.
 *
 * As in service.h an answer function returns NULL when `out` is the answer, and otherwise a
 * refusal, valid until the next call. `uid` is the broker's stamp: 0 is an administrator, anything
 * else uplink. `now` is handed in. One thread at a time.
 */
#ifndef CLOISTER_VAULT_COMMAND_H
#define CLOISTER_VAULT_COMMAND_H

#include "cloister.pb.h"
#include "grant.h"
#include "key_store.h"
#include "log_budget.h"
#include "order.h"
#include "replay_store.h"
#include "service.h"
#include "signer.h"
#include "token.h"

struct command_time {
    uint64_t mono_ms; /* monotonic */
    uint64_t unix_ms; /* of the calendar */
};

/* What the commands need of the rest of the vault; all of it stays the caller's. */
struct command_setup {
    struct token_verifier *verifier;
    struct token *tokens[2];
    struct key_store *keys;
    struct signer *signer;
    const struct grant *grant; /* in secret memory */
    int folder;
};

/* The command that is under way, if number is not 0. */
struct command_under_way {
    uint32_t number;
    uint8_t token[ORDER_TOKEN_SIZE];
    bool started;
    uint8_t order_tag[ORDER_TAG_SIZE]; /* of what was handed out, if started */
    uint64_t deadline_ms;              /* monotonic: no runner has that long */
};

struct command_service {
    struct command_setup setup;
    struct token *offered, *accepted; /* the last one, and that of the command under way */
    struct replay_store store;
    bool settled; /* what an earlier process had left under way has its receipt */
    size_t group_count;
    const char *groups[GRANT_GROUPS_MAX]; /* the grant's */
    struct ration offers;
    struct log_budget log;           /* of refusals of what a signer has signed */
    struct log_budget log_strangers; /* and of all others, who shall not use that up */
    uint64_t refused;
    char told[REPLAY_TROUBLE_SIZE]; /* the store's trouble that was told last, or "" */
    uint32_t last_number;
    struct command_under_way current;
    bool owes; /* the end of a command that could not be written down yet */
    struct receipt owed;
    bool wants; /* `wanted` is to be sent */
    ipc_RunnerWanted wanted;
    /* the blob of the last answer */
    size_t receipt_length, order_length;
    char receipt[RECEIPT_MAX];
    uint8_t order[ORDER_MAX];
    struct service_refusal refusal;
};

/* Takes memory and the configuration. Returns 0 or -errno. Files are not touched. */
int command_begin(struct command_service *service, const struct command_setup *setup,
                  struct command_time now);

/* Closes the store and frees. */
void command_end(struct command_service *service);

/*
 * Opens the replay store, and gives what an earlier process left under way its receipt. To be
 * called before the machine's key is opened or made.
 */
void command_open(struct command_service *service, struct command_time now);

/* What is to be done now and then: called before each message is dealt with. */
void command_tick(struct command_service *service, struct command_time now);

/* Why the machine's key must not be made yet (replay_store_comes_first), or NULL: it may. */
const char *command_holds_key(const struct command_service *service);

/* Fills `out` with a runner that is wanted: true, once for each command. */
bool command_wanted(struct command_service *service, ipc_RunnerWanted *out);

/* Whether a line may be logged about a refusal: of what is authentic, or of anything else. */
bool command_may_log(struct command_service *service, bool authentic, struct command_time now);

/* Fills `out` with what the broker must know: true, once for each trouble of the store. */
bool command_event(struct command_service *service, ipc_VaultEvent *out);

/* `receipt` of the service is the blob: of a refused or a replayed token. */
const struct service_refusal *command_offer(struct command_service *service, uint32_t uid,
                                            const uint8_t *bytes, size_t length,
                                            struct command_time now, ipc_TokenDecision *out);

/* `order` of the service is the blob. */
const struct service_refusal *command_fetch(struct command_service *service,
                                            const ipc_CommandFetch *request,
                                            struct command_time now, ipc_CommandOrder *out);

const struct service_refusal *command_finished(struct command_service *service,
                                               const ipc_CommandFinished *request,
                                               struct command_time now, ipc_CommandRecorded *out);

void command_lost(struct command_service *service, const ipc_CommandLost *request,
                  struct command_time now);

/* `receipt` of the service is the blob, if there is one. */
const struct service_refusal *command_query(struct command_service *service,
                                            const ipc_CommandQuery *request,
                                            struct command_time now, ipc_CommandQueryReply *out);

const struct service_refusal *command_delivered(struct command_service *service,
                                                const ipc_ReceiptDelivered *request,
                                                struct command_time now, ipc_ReceiptForgotten *out);

const struct service_refusal *command_status(struct command_service *service,
                                             ipc_CommandStatusReply *out);

/* Only for uid 0, whatever route brought it here. */
const struct service_refusal *command_reset(struct command_service *service, uint32_t uid,
                                            struct command_time now, ipc_StoreResetDone *out);

#endif

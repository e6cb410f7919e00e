/*
 * For the tests of signed commands: everything that a vault has but its channel. A folder with a
 * machine key and a replay store, a verifier of the sample keys, clocks that the test sets, and
 * hands to say what uplink, a runner and the broker say. Where something must go well it is
 * asserted.
 */
#ifndef CLOISTER_VAULT_COMMAND_DESK_H
#define CLOISTER_VAULT_COMMAND_DESK_H

#include "command.h"
#include "command_sample.h"

#define NOW_S UINT64_C(1790000000) /* when a desk begins */
#define WEEK  UINT64_C(604800)

struct desk {
    char path[64];
    int folder;
    struct key_store *keys;
    struct signer signer;
    struct token_verifier *verifier;
    struct command_service commands;
    struct command_time now;
    uint64_t seq;  /* of the last sample */
    size_t length; /* of the token offered last */
    char token[TOKEN_BYTES_MAX + 1];
    ipc_TokenDecision said;            /* the last answer to an offer */
    ipc_RunnerWanted wanted;           /* by the last command that was accepted */
    uint8_t order_tag[ORDER_TAG_SIZE]; /* of the last order that was fetched */
};

/* The grant that every desk's vault has. */
extern const struct grant desk_grant;

/* cmocka's set-up and its end; the state is the desk. */
int desk_set_up(void **state);
int desk_tear_down(void **state);

/* Ends the vault as a kill would, and begins as a new process does, in main.c's order. */
void desk_begin(struct desk *desk);

/* A command that is accepted, each time with the next sequence number and id. */
struct command_sample desk_sample(struct desk *desk);

/* Offers it as uplink does; or the last token again, with that stamp. */
ipc_Decision desk_offer(struct desk *desk, struct command_sample sample);
ipc_Decision desk_offer_again(struct desk *desk, uint32_t uid);

/* Offers a command that is accepted, and takes the runner's request to desk->wanted. */
void desk_accept(struct desk *desk);

/* Offers a revocation of `kids` ("\"ops-1\",\"ops-2\"") that `key` has signed. */
ipc_Decision desk_revoke(struct desk *desk, uint32_t uid, enum sample_key key, const char *kids);

/* What a runner asks, and says when the command exited with `code`. */
const struct service_refusal *desk_fetch(struct desk *desk, uint32_t number);
/* Makes a report the word of the runner that has the order. */
void desk_seal(const struct desk *desk, ipc_CommandFinished *report);
const struct service_refusal *desk_finish(struct desk *desk, uint32_t number, uint32_t code);

/* The three above. */
void desk_run_whole(struct desk *desk);

/* What the broker says of the wanted runner. */
void desk_lose(struct desk *desk, const char *reason);

/* How the wanted runner's command stands. */
ipc_CommandPhase desk_query(struct desk *desk);

/* The payload of the receipt that the last answer carried, or "". Valid until the next call. */
const char *desk_receipt_text(struct desk *desk);

/* The wanted runner's command has a receipt that says this. */
void desk_assert_receipt(struct desk *desk, const char *decision, const char *reason);

/* Offering it is refused for that reason, with a receipt if it is authentic, and runs nothing. */
void desk_assert_refused(struct desk *desk, struct command_sample wrong, ipc_Decision decision);

#endif

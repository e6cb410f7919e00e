/*
 * Steps of command.h that its parts share: acceptance, revocation, the end of a command. Not for
 * others.
 */
#ifndef CLOISTER_VAULT_COMMAND_STEPS_H
#define CLOISTER_VAULT_COMMAND_STEPS_H

#include "command.h"

/* The rows of the built-in table that are revoked, for token_verify(). */
uint32_t command_revoked_keys(const struct command_service *service);

/* Copies what a receipt tells of a token, as far as it is known. */
void command_claims(struct receipt *out, const struct token *token);

/*
 * Checks the offered token against machine, store and clock, in the order of docs/commands.md, and
 * writes it down. DECISION_ACCEPTED: it is under way, and a runner is wanted.
 */
ipc_Decision command_accept(struct command_service *service, struct command_time now);

/* After DECISION_ACCEPTED: the offered token is the accepted one from now on. */
void command_swap(struct command_service *service);

/* Carries out the offered revocation: DECISION_REVOCATION, or DECISION_STORE. */
ipc_Decision command_revoke(struct command_service *service, struct command_time now);

/* Whether the token's command is the one under way. */
bool command_is_current(const struct command_service *service,
                        const uint8_t token[ORDER_TOKEN_SIZE]);

/*
 * Makes a receipt say that a command did not run, or, if it was started, that what became of it is
 * not known; `reason` where it is a word for that.
 */
void command_give_up(struct receipt *receipt, bool started, const char *reason,
                     struct command_time now);

/*
 * The command under way is over. Writes its end down, or remembers it for later. Returns whether it
 * is durable.
 */
bool command_over(struct command_service *service, const struct receipt *receipt,
                  struct command_time now);

/* The command under way is over without a result. */
void command_close(struct command_service *service, const char *reason, struct command_time now);

#endif

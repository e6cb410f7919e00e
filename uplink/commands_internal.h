/* What commands.c and commands_answers.c share; for these two alone. */
#ifndef CLOISTER_UPLINK_COMMANDS_INTERNAL_H
#define CLOISTER_UPLINK_COMMANDS_INTERNAL_H

#include "commands.h"

enum stage {
    STAGE_TOKEN,    /* to be offered to the vault */
    STAGE_QUERY,    /* the vault is to be asked how it stands */
    STAGE_ASKED,    /* one of both was done */
    STAGE_RESUME,   /* its runner is to be told to go on */
    STAGE_RESUMING, /* that was done */
    STAGE_RUNNING,
    STAGE_RECEIPT, /* sent: it only waits for the console's command_done */
};

struct command {
    uint8_t id[WIRE_TOKEN_SIZE];
    uint8_t *token; /* until the console has been told of its acceptance */
    size_t length;
    enum stage stage;
    bool told;           /* the console knows that it was accepted, or is under way */
    bool ended;          /* its runner has no more to say, or is gone */
    bool recorded;       /* the vault has the receipt; its runner may have output still */
    bool overtaken;      /* its runner was gone before the vault's word that there is to be one */
    int64_t wait_ms;     /* nothing is done with it before */
    int64_t deadline_ms; /* of command_done */
    struct output output;
};

struct commands {
    const struct commands_callbacks *callbacks;
    void *user;
    const struct commands_agent *agent;
    void *agent_user;
    struct command *queue[WIRE_COMMANDS_MAX];
    size_t count;
    /* Whom the answers are for; NULL: for one that is not open any more. */
    struct command *asked, *resumed;
    bool vault_owes, runner_owes;
    /* A runner that has said its last word, and is to be gone before the next token is offered. */
    uint8_t leaving[WIRE_TOKEN_SIZE];
    int64_t leaving_ms;                                   /* until then; 0: there is none */
    uint8_t receipts[COMMANDS_RECEIPTS][WIRE_TOKEN_SIZE]; /* the first: the vault was told */
    size_t receipt_count;
    bool receipt_owed;
    int64_t receipt_wait_ms;
    struct output_pace pace;
    int64_t paced_ms; /* questions to the vault: when the last of them would have been due */
    int error;        /* -errno of what could not be sent */
};

/* The output's callbacks, with the struct commands as `user`. */
extern const struct output_callbacks commands_output_hooks;

/* The open command of this token id, or NULL. */
struct command *commands_find(struct commands *commands, const uint8_t *id);

/* The first that is not done but for the console's last word, the one that is dealt with; or NULL.
 */
struct command *commands_current(const struct commands *commands);

/* It is not open any more: what its runner waits for is refused. */
void commands_remove(struct commands *commands, struct command *command);

/* Does with the command that is dealt with what can be done. */
void commands_advance(struct commands *commands, int64_t now_ms);

/* Tells the vault of the next receipt that the console has. */
void commands_deliver(struct commands *commands, int64_t now_ms);

#endif

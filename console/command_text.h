/*
 * Commands as people and programs see them: what `commands`, `outputs` and `receipts` share. One
 * thread.
 */
#ifndef CONSOLE_COMMAND_TEXT_H
#define CONSOLE_COMMAND_TEXT_H

#include <stdbool.h>

#include <jansson.h>

#include "admin.h"
#include "claims.h"
#include "queue.h"
#include "receipt.h"

#define COMMAND_TEXT_STATE 128

/* What the database says of a command, with the token's claims and the receipt read. */
struct command_view {
    struct queue_item item;
    struct claims claims;
    bool has_receipt; /* and it still verifies under the machine's key */
    struct receipt receipt;
    char receipt_text[MESSAGE_RECEIPT_MAX + 1]; /* as it is stored; "" if there is none */
};

/* Fills `view` for the command `item`. 0 or -errno. */
int command_text_view(struct command_view *view, struct admin *a, const struct queue_item *item);

/*
 * Reads the command that `token` and `machine` (as the user typed them; NULL: not given) name.
 * EXIT_DONE, or another exit status after saying why.
 */
int command_text_find(struct admin *a, const char *token, const char *machine,
                      struct queue_item *out);

/* What became of it: "queued", "refused: expired", "exit 0". Printable ASCII. Returns out. */
const char *command_text_state(char out[COMMAND_TEXT_STATE], const struct command_view *view);

/* All of a view; the caller's reference, NULL without memory. */
json_t *command_text_json(const struct command_view *view);

#endif

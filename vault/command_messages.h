/*
 * The messages about signed commands: decoded, dealt with by command.h, answered. One thread.
 */
#ifndef CLOISTER_VAULT_COMMAND_MESSAGES_H
#define CLOISTER_VAULT_COMMAND_MESSAGES_H

#include <stdbool.h>

#include "command.h"
#include "worker.h"

/*
 * Deals with `message` if it is about commands, and tells the broker of a runner that is wanted.
 * Returns whether it was. Ends the process where the broker is broken, as worker.h does.
 */
bool command_handle(struct worker *worker, struct command_service *service,
                    const struct message *message, struct command_time now);

#endif

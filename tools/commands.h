/*
 * cloister commands, and what cloister status says of signed commands.
 *
 *   commands.c         asks, revokes, resets
 *   commands_follow.c  goes on asking, and tells the desktop
 *   commands_judge.c   what is new, what is amiss
 *   commands_text.c    for people
 *   commands_json.c    for programs
 */
#ifndef CLOISTER_TOOLS_COMMANDS_H
#define CLOISTER_TOOLS_COMMANDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cloister.pb.h"
#include "command.h"

/* Whether commands are refused though this build has keys. Pure. */
bool commands_are_down(const ipc_CommandStatusReply *reply);

/*
 * Asks the vault. Returns PROGRAM_EXIT_OK; or, having complained, what to exit with. If `refused`
 * is not NULL a refusal is left to the caller, as command_ask does.
 */
int commands_ask(struct door *door, ipc_CommandStatusReply *reply, ipc_Refused *refused);

/* Prints how signed commands stand, as cloister status has it. NULL: the vault does not answer. */
void commands_print_summary(const ipc_CommandStatusReply *reply);

/* Prints the keys and the commands that were accepted last, the oldest first. */
void commands_print_text(const ipc_CommandStatusReply *reply);

/* Prints one command: a line, and a second one that says what was run. */
void commands_print_entry(const ipc_CommandEntry *entry);

/* What became of a command, or that it goes on, for people; in a buffer of its own. */
const char *commands_result(const ipc_CommandEntry *entry);

/* All of it as a JSON object; NULL if memory ran out. */
json_t *commands_object(const ipc_CommandStatusReply *reply);

/* One command as a JSON object; NULL if memory ran out. */
json_t *commands_entry_object(const ipc_CommandEntry *entry);

/* What `cloister commands --follow` is to do. */
struct commands_follow {
    const struct command_line *line;
    bool json;
    bool notify;       /* by notify-send(1), of commands for user and admin */
    uint64_t since_ms; /* commands that were accepted before are not shown */
};

/* Goes on until the agent hangs up, then starts the program anew. Returns an enum program_exit. */
int commands_follow(const struct commands_follow *follow);

/*
 * Calls `show` for each command in `now` that is not in `before` or stands otherwise there, the
 * oldest first; `fresh` tells which. Returns false if some in between may have been missed: nothing
 * of `before` is left. Pure but for `show`.
 */
bool commands_compare(const ipc_CommandStatusReply *before, const ipc_CommandStatusReply *now,
                      uint64_t since_ms,
                      void (*show)(void *context, const ipc_CommandEntry *entry, bool fresh),
                      void *context);

#endif

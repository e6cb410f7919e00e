#include "commands_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the console is told ---- */

/* Queues a message that a writer of wire.h made, and frees it. */
static bool send_text(struct commands *commands, char *text)
{
    int rc = -ENOMEM;

    if (text)
        rc = commands->callbacks->send_text(commands->user, text, strlen(text));
    free(text);
    if (rc < 0 && rc != -EPIPE)
        commands->error = rc;
    return rc == 0;
}

/* Says that it goes on, if that was not said before. */
static void tell(struct commands *commands, struct command *command)
{
    if (command->told)
        return;
    command->told = true;
    if (command->token)
        send_text(commands, wire_write_command_decision(command->id, true, "accepted", NULL));
    else
        send_text(commands, wire_write_command_running(command->id));
    free(command->token);
    command->token = NULL;
}

/* Nothing but base64url and two dots between its parts: what the console may store and show. */
static char *receipt_text(const void *receipt, size_t length)
{
    const char *text = receipt;
    size_t dots = 0;

    if (!receipt || length == 0 || length > WIRE_RECEIPT_MAX)
        return NULL;
    for (size_t i = 0; i < length; i++) {
        bool letter = (text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= 'a' && text[i] <= 'z') ||
                      (text[i] >= '0' && text[i] <= '9') || text[i] == '-' || text[i] == '_';

        if (text[i] == '.')
            dots++;
        else if (!letter)
            return NULL;
    }
    return dots == 2 ? strndup(text, length) : NULL;
}

/* No more output comes; what came is still sent. */
static void end_output(struct commands *commands, struct command *command)
{
    command->ended = true;
    output_orphan(&command->output, &commands_output_hooks, commands);
}

/* ---- the vault ---- */

static void wait_a_moment(struct command *command, enum stage stage, int64_t now_ms)
{
    command->stage = stage;
    command->wait_ms = now_ms + COMMANDS_RETRY_MS;
}

/* Whom the vault's answer is for, or NULL. */
static struct command *answered(struct commands *commands)
{
    struct command *command = commands->asked;

    commands->vault_owes = false;
    commands->asked = NULL;
    return command;
}

static void close_decided(struct commands *commands, struct command *command, bool accepted,
                          const char *word, char *receipt)
{
    send_text(commands, wire_write_command_decision(command->id, accepted, word, receipt));
    commands_remove(commands, command);
}

void commands_decided(struct commands *commands, enum commands_verdict verdict, const char *word,
                      const void *receipt, size_t length, int64_t now_ms)
{
    struct command *command = answered(commands);
    char *text = receipt_text(receipt, length);

    if (command) {
        switch (verdict) {
        case COMMANDS_ACCEPTED:
            tell(commands, command);
            command->stage = STAGE_RUNNING;
            if (command->overtaken) /* nobody will say it again */
                end_output(commands, command);
            break;
        case COMMANDS_BUSY:
            wait_a_moment(command, STAGE_TOKEN, now_ms);
            break;
        case COMMANDS_REVOCATION:
        case COMMANDS_REFUSED:
            close_decided(commands, command, verdict == COMMANDS_REVOCATION, word, text);
        }
    }
    free(text);
    commands_advance(commands, now_ms);
}

/* The vault does not know it: a token is offered, a query answered. */
static void found_unknown(struct commands *commands, struct command *command)
{
    if (command->token) {
        command->stage = STAGE_TOKEN;
        return;
    }
    send_text(commands, wire_write_command_unknown(command->id));
    commands_remove(commands, command);
}

/* Its runner may be there with output, before its end and for a while after it. */
static void found_under_way(struct commands *commands, struct command *command, int64_t now_ms)
{
    tell(commands, command);
    if (command->ended)
        wait_a_moment(command, STAGE_QUERY, now_ms);
    else
        command->stage = STAGE_RESUME;
}

static void found_ended(struct commands *commands, struct command *command, const char *receipt,
                        int64_t now_ms)
{
    if (!receipt) {
        wait_a_moment(command, STAGE_QUERY, now_ms);
        return;
    }
    if (!command->ended) {
        command->recorded = true;
        command->stage = STAGE_RESUME;
        return;
    }
    if (command->output.count > 0) { /* the receipt comes last */
        command->stage = STAGE_RUNNING;
        return;
    }
    if (command->token)
        tell(commands, command);
    send_text(commands, wire_write_command_receipt(command->id, receipt));
    command->stage = STAGE_RECEIPT;
    command->deadline_ms = now_ms + COMMANDS_ANSWER_MS;
}

void commands_found(struct commands *commands, enum commands_state state, const void *receipt,
                    size_t length, int64_t now_ms)
{
    struct command *command = answered(commands);
    char *text = receipt_text(receipt, length);

    if (command) {
        switch (state) {
        case COMMANDS_UNKNOWN:
            found_unknown(commands, command);
            break;
        case COMMANDS_UNDER_WAY:
            found_under_way(commands, command, now_ms);
            break;
        case COMMANDS_ENDED:
            found_ended(commands, command, text, now_ms);
            break;
        }
    }
    free(text);
    commands_advance(commands, now_ms);
}

void commands_unanswered(struct commands *commands, int64_t now_ms)
{
    struct command *command = answered(commands);

    if (command)
        wait_a_moment(command, STAGE_QUERY, now_ms);
    commands_advance(commands, now_ms);
}

void commands_forgotten(struct commands *commands, bool yes, int64_t now_ms)
{
    if (!commands->receipt_owed)
        return;
    commands->receipt_owed = false;
    if (yes) {
        commands->receipt_count--;
        memmove(commands->receipts[0], commands->receipts[1],
                commands->receipt_count * WIRE_TOKEN_SIZE);
    } else {
        commands->receipt_wait_ms = now_ms + COMMANDS_RETRY_MS;
    }
    commands_deliver(commands, now_ms);
}

/* ---- the runner ---- */

void commands_resumed(struct commands *commands, bool yes, int64_t now_ms)
{
    struct command *command = commands->resumed;

    commands->runner_owes = false;
    commands->resumed = NULL;
    if (command && yes) {
        tell(commands, command);
        command->stage = STAGE_RUNNING;
    } else if (command && (command->recorded || command->ended)) {
        end_output(commands, command); /* its receipt is all that can be had */
        command->stage = STAGE_RUNNING;
    } else if (command) {
        wait_a_moment(command, STAGE_QUERY, now_ms);
    }
    commands_advance(commands, now_ms);
}

void commands_chunk(struct commands *commands, uint32_t request, const uint8_t *token,
                    enum output_stream stream, uint32_t index, const void *bytes, size_t length,
                    int64_t now_ms)
{
    struct command *command = commands_current(commands);

    if (!command || memcmp(command->id, token, WIRE_TOKEN_SIZE) != 0 || command->ended) {
        commands_output_hooks.refused(commands, request, OUTPUT_NO_SUCH);
    } else if (command->stage != STAGE_RUNNING) {
        commands_output_hooks.refused(commands, request, OUTPUT_BUSY);
    } else {
        output_hand_in(&command->output, &commands_output_hooks, commands, request, stream, index,
                       bytes, length, now_ms);
        commands_advance(commands, now_ms);
    }
}

void commands_output_ended(struct commands *commands, const uint8_t *token, int64_t now_ms)
{
    struct command *command = commands_find(commands, token);

    memcpy(commands->leaving, token, WIRE_TOKEN_SIZE);
    commands->leaving_ms = now_ms + COMMANDS_GONE_MS;
    if (command && command->told)
        end_output(commands, command);
    commands_advance(commands, now_ms);
}

void commands_runner_gone(struct commands *commands, const uint8_t *token, int64_t now_ms)
{
    struct command *command = commands_find(commands, token), *first = commands_current(commands);

    if (memcmp(commands->leaving, token, WIRE_TOKEN_SIZE) == 0)
        commands->leaving_ms = 0;
    if (command && command->told)
        end_output(commands, command);
    else if (command)
        command->overtaken = true;
    if (first)
        first->wait_ms = 0; /* whatever it waited for may have come */
    commands_advance(commands, now_ms);
}

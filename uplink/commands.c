#include "commands_internal.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define NEVER INT64_MAX

int commands_new(struct commands **out, const struct commands_callbacks *callbacks, void *user,
                 const struct commands_agent *agent, void *agent_user)
{
    struct commands *commands = calloc(1, sizeof *commands);

    if (!commands)
        return -ENOMEM;
    commands->callbacks = callbacks;
    commands->user = user;
    commands->agent = agent;
    commands->agent_user = agent_user;
    *out = commands;
    return 0;
}

/* ---- the output's callbacks: two users in one ---- */

static int on_send_binary(void *user, const void *bytes, size_t length)
{
    struct commands *commands = user;

    return commands->callbacks->send_binary(commands->user, bytes, length);
}

static size_t on_queued(void *user)
{
    struct commands *commands = user;

    return commands->callbacks->queued(commands->user);
}

static void on_taken(void *user, uint32_t request)
{
    struct commands *commands = user;

    commands->agent->taken(commands->agent_user, request);
}

static void on_refused(void *user, uint32_t request, enum output_refusal why)
{
    struct commands *commands = user;

    commands->agent->refused(commands->agent_user, request, why);
}

const struct output_callbacks commands_output_hooks = {on_send_binary, on_queued, on_taken,
                                                       on_refused};

/* ---- the queue ---- */

struct command *commands_find(struct commands *commands, const uint8_t *id)
{
    for (size_t i = 0; i < commands->count; i++)
        if (memcmp(commands->queue[i]->id, id, WIRE_TOKEN_SIZE) == 0)
            return commands->queue[i];
    return NULL;
}

/* The first that is not done but for the console's last word: the one that is dealt with. */
struct command *commands_current(const struct commands *commands)
{
    for (size_t i = 0; i < commands->count; i++)
        if (commands->queue[i]->stage != STAGE_RECEIPT)
            return commands->queue[i];
    return NULL;
}

static void discard(struct commands *commands, struct command *command)
{
    output_end(&command->output, &commands_output_hooks, commands, OUTPUT_NO_SUCH);
    if (commands->asked == command)
        commands->asked = NULL;
    if (commands->resumed == command)
        commands->resumed = NULL;
    free(command->token);
    free(command);
}

void commands_remove(struct commands *commands, struct command *command)
{
    size_t kept = 0;

    for (size_t i = 0; i < commands->count; i++)
        if (commands->queue[i] != command)
            commands->queue[kept++] = commands->queue[i];
    commands->count = kept;
    discard(commands, command);
}

void commands_forget(struct commands *commands)
{
    while (commands->count > 0)
        commands_remove(commands, commands->queue[commands->count - 1]);
}

struct commands *commands_free(struct commands *commands)
{
    if (commands) {
        commands_forget(commands);
        free(commands);
    }
    return NULL;
}

static int append(struct commands *commands, const uint8_t *id, enum stage stage,
                  struct command **out)
{
    struct command *command;

    if (commands_find(commands, id) || commands->count == WIRE_COMMANDS_MAX)
        return COMMANDS_ORDER;
    command = calloc(1, sizeof *command);
    if (!command)
        return -ENOMEM;
    memcpy(command->id, id, WIRE_TOKEN_SIZE);
    command->stage = stage;
    command->deadline_ms = NEVER;
    output_begin(&command->output, id, 0, 0);
    commands->queue[commands->count++] = command;
    *out = command;
    return 0;
}

/* ---- going on ---- */

/* Takes one question's worth: so many a second after a pause (a leaky bucket). */
static bool may_ask(struct commands *commands, int64_t now_ms)
{
    if (commands->vault_owes || commands->paced_ms > now_ms + 1000)
        return false;
    if (commands->paced_ms < now_ms)
        commands->paced_ms = now_ms;
    commands->paced_ms += 1000 / COMMANDS_PER_S;
    commands->vault_owes = true;
    return true;
}

static bool is_held_up(const struct commands *commands, int64_t now_ms)
{
    return commands->leaving_ms != 0 && now_ms < commands->leaving_ms;
}

static void offer(struct commands *commands, struct command *command, int64_t now_ms)
{
    if (is_held_up(commands, now_ms) || !may_ask(commands, now_ms))
        return;
    commands->leaving_ms = 0;
    command->overtaken = false;
    command->stage = STAGE_ASKED;
    commands->asked = command;
    commands->agent->offer(commands->agent_user, command->token, command->length);
}

static void query(struct commands *commands, struct command *command, int64_t now_ms)
{
    if (!may_ask(commands, now_ms))
        return;
    command->stage = STAGE_ASKED;
    commands->asked = command;
    commands->agent->query(commands->agent_user, command->id);
}

static void resume(struct commands *commands, struct command *command)
{
    if (commands->runner_owes)
        return;
    commands->runner_owes = true;
    commands->resumed = command;
    command->stage = STAGE_RESUMING;
    commands->agent->resume(commands->agent_user, command->id,
                            command->output.streams[OUTPUT_STDOUT].acked,
                            command->output.streams[OUTPUT_STDERR].acked);
}

static void run(struct commands *commands, struct command *command, int64_t now_ms)
{
    if (command->ended && command->output.count == 0) {
        command->stage = STAGE_QUERY;
        query(commands, command, now_ms);
    } else if (!command->ended && output_should_give_back(&command->output, now_ms)) {
        output_give_back(&command->output, &commands_output_hooks, commands);
        command->stage = STAGE_RESUME;
        resume(commands, command);
    }
}

/* Chunks are sent as long as there are any, whatever else is waited for. */
static void pump(struct commands *commands, struct command *command, int64_t now_ms)
{
    int rc =
        output_pump(&command->output, &commands_output_hooks, commands, &commands->pace, now_ms);

    if (rc < 0 && rc != -EPIPE)
        commands->error = rc;
}

/* Does with the command that is dealt with what can be done. */
void commands_advance(struct commands *commands, int64_t now_ms)
{
    struct command *command = commands_current(commands);

    if (!command)
        return;
    pump(commands, command, now_ms);
    if (now_ms < command->wait_ms)
        return;
    if (command->stage == STAGE_TOKEN)
        offer(commands, command, now_ms);
    else if (command->stage == STAGE_QUERY)
        query(commands, command, now_ms);
    else if (command->stage == STAGE_RESUME)
        resume(commands, command);
    else if (command->stage == STAGE_RUNNING)
        run(commands, command, now_ms);
}

/* ---- the console ---- */

int commands_token(struct commands *commands, const struct wire_frame *frame, int64_t now_ms)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    struct command *command;
    uint8_t *copy;
    int rc;

    if (frame->kind != WIRE_KIND_TOKEN || frame->index != 0 || frame->length == 0 ||
        frame->length > WIRE_TOKEN_MAX)
        return COMMANDS_MALFORMED;
    if (EVP_Digest(frame->content, frame->length, digest, NULL, EVP_sha256(), NULL) != 1)
        return -ENOMEM;
    if (memcmp(digest, frame->id, WIRE_TOKEN_SIZE) != 0)
        return COMMANDS_MALFORMED;
    copy = malloc(frame->length);
    if (!copy)
        return -ENOMEM;
    rc = append(commands, frame->id, STAGE_TOKEN, &command);
    if (rc != 0) {
        free(copy);
        return rc;
    }
    memcpy(copy, frame->content, frame->length);
    command->token = copy;
    command->length = frame->length;
    commands_advance(commands, now_ms);
    return 0;
}

static int on_query(struct commands *commands, const struct wire_message *message, int64_t now_ms)
{
    struct command *command;
    int rc = append(commands, message->token, STAGE_QUERY, &command);

    if (rc != 0)
        return rc;
    output_begin(&command->output, message->token, message->stdout_count, message->stderr_count);
    commands_advance(commands, now_ms);
    return 0;
}

static int on_acknowledged(struct commands *commands, const struct wire_message *message,
                           int64_t now_ms)
{
    struct command *command = commands_find(commands, message->token);

    if (!command || !command->told ||
        !output_acknowledge(&command->output, &commands_output_hooks, commands,
                            message->stdout_count, message->stderr_count, now_ms))
        return COMMANDS_ORDER;
    commands_advance(commands, now_ms);
    return 0;
}

void commands_deliver(struct commands *commands, int64_t now_ms)
{
    if (commands->receipt_count == 0 || commands->receipt_owed ||
        now_ms < commands->receipt_wait_ms)
        return;
    commands->receipt_owed = true;
    commands->agent->delivered(commands->agent_user, commands->receipts[0]);
}

/* Should the vault be away so long that the table is full, it keeps that receipt: no harm. */
static int on_done(struct commands *commands, const struct wire_message *message, int64_t now_ms)
{
    struct command *command = commands_find(commands, message->token);

    if (!command || command->stage != STAGE_RECEIPT)
        return COMMANDS_ORDER;
    if (commands->receipt_count < COMMANDS_RECEIPTS)
        memcpy(commands->receipts[commands->receipt_count++], command->id, WIRE_TOKEN_SIZE);
    commands_remove(commands, command);
    commands_deliver(commands, now_ms);
    return 0;
}

int commands_receive(struct commands *commands, const struct wire_message *message, int64_t now_ms)
{
    switch (message->type) {
    case WIRE_COMMAND_ACK:
        return on_acknowledged(commands, message, now_ms);
    case WIRE_COMMAND_DONE:
        return on_done(commands, message, now_ms);
    case WIRE_COMMAND_QUERY:
        return on_query(commands, message, now_ms);
    default:
        return COMMANDS_ORDER;
    }
}

/* ---- time ---- */

static int64_t earlier(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

/* When something can be done with the command that is dealt with, unless something else happens. */
static int64_t due_ms(const struct commands *commands, const struct command *command)
{
    int64_t due = command->wait_ms;

    if (command->stage == STAGE_RUNNING || command->stage == STAGE_RESUMING ||
        command->stage == STAGE_ASKED)
        return NEVER;
    if (command->stage == STAGE_RESUME)
        return commands->runner_owes ? NEVER : due;
    if (commands->vault_owes)
        return NEVER;
    if (command->stage == STAGE_TOKEN && commands->leaving_ms > due)
        due = commands->leaving_ms;
    return commands->paced_ms - 1000 > due ? commands->paced_ms - 1000 : due;
}

int64_t commands_deadline_ms(const struct commands *commands)
{
    const struct command *command = commands_current(commands);
    int64_t deadline = NEVER;

    for (size_t i = 0; i < commands->count; i++)
        deadline = earlier(deadline, commands->queue[i]->deadline_ms);
    if (command)
        deadline = earlier(deadline, output_deadline_ms(&command->output, &commands->pace));
    if (command)
        deadline = earlier(deadline, due_ms(commands, command));
    if (commands->receipt_count > 0 && !commands->receipt_owed)
        deadline = earlier(deadline, commands->receipt_wait_ms);
    return deadline;
}

static bool is_overdue(const struct commands *commands, int64_t now_ms)
{
    for (size_t i = 0; i < commands->count; i++)
        if (now_ms >= commands->queue[i]->deadline_ms ||
            now_ms >= commands->queue[i]->output.deadline_ms)
            return true;
    return false;
}

bool commands_tick(struct commands *commands, int64_t now_ms, struct fault *fault)
{
    commands_advance(commands, now_ms);
    commands_deliver(commands, now_ms);
    if (commands->error < 0) {
        fault_set(fault, FAULT_LOCAL, "a command: %s", strerror(-commands->error));
        return false;
    }
    if (is_overdue(commands, now_ms)) {
        fault_set(fault, FAULT_PHASE_TIMEOUT,
                  "the console did not answer for a command within %d s",
                  COMMANDS_ANSWER_MS / 1000);
        return false;
    }
    return true;
}

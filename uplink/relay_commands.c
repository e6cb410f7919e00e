#include "relay.h"

#include <string.h>

#include "log.h"
#include "words.h"

_Static_assert(sizeof((ipc_CommandQuery){0}.token) == WIRE_TOKEN_SIZE, "one token id");

/* ---- what the console's wishes become ---- */

static void on_offer(void *user, const void *token, size_t length)
{
    struct relay *relay = user;
    const ipc_TokenOffer body = ipc_TokenOffer_init_zero;

    relay->commands.vault = worker_request(relay->worker, IPC_TOKEN_OFFER, &body, token, length);
}

static void on_query(void *user, const uint8_t *token)
{
    struct relay *relay = user;
    ipc_CommandQuery body;

    memcpy(body.token, token, sizeof body.token);
    relay->commands.vault = worker_request(relay->worker, IPC_COMMAND_QUERY, &body, NULL, 0);
}

static void on_resume(void *user, const uint8_t *token, uint32_t stdout_next, uint32_t stderr_next)
{
    struct relay *relay = user;
    ipc_OutputResume body = {.out_next = stdout_next, .err_next = stderr_next};

    memcpy(body.token, token, sizeof body.token);
    relay->commands.runner = worker_request(relay->worker, IPC_OUTPUT_RESUME, &body, NULL, 0);
}

static void on_delivered(void *user, const uint8_t *token)
{
    struct relay *relay = user;
    ipc_ReceiptDelivered body;

    memcpy(body.token, token, sizeof body.token);
    relay->commands.delivered =
        worker_request(relay->worker, IPC_RECEIPT_DELIVERED, &body, NULL, 0);
}

static void on_taken(void *user, uint32_t request)
{
    struct relay *relay = user;
    const struct message question = {.envelope = {.request = request}};
    const ipc_OutputTaken body = ipc_OutputTaken_init_zero;

    worker_answer(relay->worker, &question, IPC_OUTPUT_TAKEN, &body, NULL, 0);
}

static void on_refused(void *user, uint32_t request, enum output_refusal why)
{
    static const struct {
        ipc_RefusalReason reason;
        const char *detail;
    } words[] = {
        [OUTPUT_NO_SUCH] = {ipc_RefusalReason_NO_SUCH, "the console does not wait for its output"},
        [OUTPUT_BUSY] = {ipc_RefusalReason_BUSY, "to be sent again"},
        [OUTPUT_ORDER] = {ipc_RefusalReason_BAD_REQUEST, "not the chunk that comes next"},
    };
    struct relay *relay = user;
    const struct message question = {.envelope = {.request = request}};

    worker_refuse(relay->worker, &question, words[why].reason, words[why].detail);
}

const struct commands_agent relay_agent = {on_offer,     on_query, on_resume,
                                           on_delivered, on_taken, on_refused};

/* ---- what the broker brings ---- */

static struct commands *commands_of(const struct relay *relay)
{
    struct session *session = relay->client ? client_session(relay->client) : NULL;

    return session ? session_commands(session) : NULL;
}

/* Whether `message` answers the request noted at `*expected`, which is over then. */
static bool answers(uint32_t *expected, const struct message *message)
{
    if (*expected == 0 || message->envelope.request != *expected)
        return false;
    *expected = 0;
    return true;
}

/* Ends the process unless `message` answers the request noted at `*expected`. */
static void insist(uint32_t *expected, const struct message *message)
{
    if (!answers(expected, message))
        worker_fail(WORKER_EXIT_PROTOCOL, "%s to what nobody asked", message->envelope.type->name);
}

/* Any other word of the vault's is a refusal. */
static enum commands_verdict verdict_of(ipc_Decision decision)
{
    switch (decision) {
    case ipc_Decision_DECISION_ACCEPTED:
        return COMMANDS_ACCEPTED;
    case ipc_Decision_DECISION_REVOCATION:
        return COMMANDS_REVOCATION;
    case ipc_Decision_DECISION_BUSY:
        return COMMANDS_BUSY;
    default:
        return COMMANDS_REFUSED;
    }
}

static void decided(struct relay *relay, const struct message *message, int64_t now_ms)
{
    ipc_TokenDecision said;

    worker_decode(relay->worker, message, &said);
    insist(&relay->commands.vault, message);
    if (commands_of(relay))
        commands_decided(commands_of(relay), verdict_of(said.decision),
                         decision_word(said.decision), message->envelope.blob,
                         message->envelope.blob_length, now_ms);
}

static void found(struct relay *relay, const struct message *message, int64_t now_ms)
{
    static const enum commands_state states[] = {
        [ipc_CommandPhase_COMMAND_UNKNOWN] = COMMANDS_UNKNOWN,
        [ipc_CommandPhase_COMMAND_ACCEPTED] = COMMANDS_UNDER_WAY,
        [ipc_CommandPhase_COMMAND_STARTED] = COMMANDS_UNDER_WAY,
        [ipc_CommandPhase_COMMAND_ENDED] = COMMANDS_ENDED,
    };
    ipc_CommandQueryReply said;

    worker_decode(relay->worker, message, &said);
    insist(&relay->commands.vault, message);
    if ((unsigned)said.phase >= sizeof states / sizeof *states)
        worker_fail(WORKER_EXIT_PROTOCOL, "a phase of a command that does not exist");
    if (commands_of(relay))
        commands_found(commands_of(relay), states[said.phase], message->envelope.blob,
                       message->envelope.blob_length, now_ms);
}

static void resumed(struct relay *relay, const struct message *message, int64_t now_ms)
{
    insist(&relay->commands.runner, message);
    if (commands_of(relay))
        commands_resumed(commands_of(relay), true, now_ms);
}

static void forgotten(struct relay *relay, const struct message *message, int64_t now_ms)
{
    insist(&relay->commands.delivered, message);
    if (commands_of(relay))
        commands_forgotten(commands_of(relay), true, now_ms);
}

/* Whether it was a request of this part. */
static bool refused(struct relay *relay, const struct message *message, int64_t now_ms)
{
    struct commands *commands = commands_of(relay);
    ipc_Refused said;

    if (answers(&relay->commands.vault, message)) {
        worker_decode(relay->worker, message, &said);
        log_warning("the vault does not answer for a command: %s", said.detail);
        if (commands)
            commands_unanswered(commands, now_ms);
    } else if (answers(&relay->commands.runner, message)) {
        if (commands)
            commands_resumed(commands, false, now_ms);
    } else if (answers(&relay->commands.delivered, message)) {
        if (commands)
            commands_forgotten(commands, false, now_ms);
    } else {
        return false;
    }
    return true;
}

static void chunk(struct relay *relay, const struct message *message, int64_t now_ms)
{
    uint32_t request = message->envelope.request;
    ipc_OutputChunk said;

    worker_decode(relay->worker, message, &said);
    if (said.stream != ipc_OutputStream_OUTPUT_STDOUT &&
        said.stream != ipc_OutputStream_OUTPUT_STDERR)
        on_refused(relay, request, OUTPUT_ORDER);
    else if (!commands_of(relay))
        on_refused(relay, request, OUTPUT_NO_SUCH);
    else
        commands_chunk(commands_of(relay), request, said.token,
                       said.stream == ipc_OutputStream_OUTPUT_STDOUT ? OUTPUT_STDOUT
                                                                     : OUTPUT_STDERR,
                       said.index, message->envelope.blob, message->envelope.blob_length, now_ms);
}

/* The runner may go, whether or not there is a console that knows of it. */
static void output_ended(struct relay *relay, const struct message *message, int64_t now_ms)
{
    const ipc_OutputEnded body = ipc_OutputEnded_init_zero;
    ipc_OutputEnd said;

    worker_decode(relay->worker, message, &said);
    worker_answer(relay->worker, message, IPC_OUTPUT_ENDED, &body, NULL, 0);
    if (commands_of(relay))
        commands_output_ended(commands_of(relay), said.token, now_ms);
}

static void runner_gone(struct relay *relay, const struct message *message, int64_t now_ms)
{
    ipc_CommandEnded said;

    worker_decode(relay->worker, message, &said);
    if (commands_of(relay))
        commands_runner_gone(commands_of(relay), said.token, now_ms);
}

bool relay_command_message(struct relay *relay, const struct message *message, int64_t now_ms)
{
    switch (message->envelope.number) {
    case IPC_TOKEN_DECISION:
        decided(relay, message, now_ms);
        return true;
    case IPC_COMMAND_QUERY_REPLY:
        found(relay, message, now_ms);
        return true;
    case IPC_RECEIPT_FORGOTTEN:
        forgotten(relay, message, now_ms);
        return true;
    case IPC_OUTPUT_CHUNK:
        chunk(relay, message, now_ms);
        return true;
    case IPC_OUTPUT_END:
        output_ended(relay, message, now_ms);
        return true;
    case IPC_OUTPUT_RESUMED:
        resumed(relay, message, now_ms);
        return true;
    case IPC_COMMAND_ENDED:
        runner_gone(relay, message, now_ms);
        return true;
    case IPC_REFUSED:
        return refused(relay, message, now_ms);
    default:
        return false;
    }
}

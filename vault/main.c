/*
 * cloister-vault: holds the machine's key and signs with it; verifies signed commands, and sees to
 * it that each runs at most once.
 *
 * Everything that reads a file or a request runs behind the lock: the state folder is opened after
 * it, by the one path that Landlock leaves.
 */
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "command_keys.h"
#include "command_messages.h"
#include "log.h"
#include "order_key.h"
#include "secret_memory.h"
#include "service.h"
#include "state_folder.h"
#include "vault_filter.h"
#include "worker.h"

#define STATE_FOLDER "/state" /* where vault.policy mounts it */
#define GRANT_FD     3        /* vault.policy's first descriptor */

struct vault {
    struct worker worker;
    struct service service;
    struct command_service commands;
    struct key_store *store;
    struct token_verifier *verifier;
    struct token tokens[2];
    struct grant *grant; /* in secret memory */
};

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

static uint64_t unix_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

static struct command_time now(void)
{
    return (struct command_time){.mono_ms = now_ms(), .unix_ms = unix_ms()};
}

static void tell_events(struct worker *worker, struct service *service,
                        struct command_service *commands)
{
    ipc_VaultEvent event;
    if (command_event(commands, &event)) /* which is logged already */
        worker_notify(worker, IPC_VAULT_EVENT, &event);
    while (service_event(service, &event)) {
        log_notice("%s", event.detail);
        worker_notify(worker, IPC_VAULT_EVENT, &event);
    }
}

/* Sends the answer, or the refusal in its place. */
static void answer(struct worker *worker, const struct message *request, uint16_t number,
                   const void *body, const struct service_refusal *refusal)
{
    if (!refusal) {
        worker_answer(worker, request, number, body, NULL, 0);
        return;
    }
    log_warning("%s refused: %s", request->envelope.type->name, refusal->detail);
    worker_refuse(worker, request, refusal->reason, refusal->detail);
}

static void sign_challenge(struct worker *worker, struct service *service,
                           const struct message *message)
{
    ipc_SignChallenge request;
    ipc_ChallengeSigned reply;
    worker_decode(worker, message, &request);
    const struct service_refusal *refusal =
        service_sign_challenge(service, &request, now_ms(), unix_ms(), &reply);
    answer(worker, message, IPC_CHALLENGE_SIGNED, &reply, refusal);
}

static void sign_origin(struct worker *worker, struct service *service,
                        const struct message *message)
{
    ipc_SignOrigin request;
    ipc_OriginSigned reply;
    worker_decode(worker, message, &request);
    const struct service_refusal *refusal =
        service_sign_origin(service, &request, now_ms(), unix_ms(), &reply);
    answer(worker, message, IPC_ORIGIN_SIGNED, &reply, refusal);
}

static void identify(struct worker *worker, struct service *service, const struct message *message)
{
    ipc_MachineIdentity request;
    ipc_MachineIdentityReply reply;
    worker_decode(worker, message, &request);
    const struct service_refusal *refusal = service_identity(service, now_ms(), unix_ms(), &reply);
    answer(worker, message, IPC_MACHINE_IDENTITY_REPLY, &reply, refusal);
}

static void reset(struct worker *worker, struct service *service, const struct message *message)
{
    ipc_KeyReset request;
    ipc_KeyResetDone reply;
    worker_decode(worker, message, &request);
    const struct service_refusal *refusal =
        service_reset(service, message->envelope.uid, now_ms(), unix_ms(), &reply);
    answer(worker, message, IPC_KEY_RESET_DONE, &reply, refusal);
}

static void handle(struct vault *vault, const struct message *message)
{
    struct worker *worker = &vault->worker;
    struct service *service = &vault->service;
    bool of_commands = command_handle(worker, &vault->commands, message, now());
    service->hold = command_holds_key(&vault->commands);
    if (of_commands) {
        tell_events(worker, service, &vault->commands);
        return;
    }
    switch (message->envelope.number) {
    case IPC_SIGN_CHALLENGE:
        sign_challenge(worker, service, message);
        break;
    case IPC_SIGN_ORIGIN:
        sign_origin(worker, service, message);
        break;
    case IPC_MACHINE_IDENTITY:
        identify(worker, service, message);
        break;
    case IPC_KEY_RESET:
        reset(worker, service, message);
        break;
    case IPC_REFUSED: /* the broker takes no request of the vault's, so it refuses none */
    default:
        worker_fail(WORKER_EXIT_PROTOCOL, "the broker sent %s, which nothing here asked for",
                    message->envelope.type->name);
    }
    tell_events(worker, service, &vault->commands);
}

static void serve(struct vault *vault)
{
    for (;;) {
        struct message message;
        worker_wait(&vault->worker, NULL, 0, -1);
        while (worker_next(&vault->worker, &message)) {
            handle(vault, &message);
            message_free(&message);
        }
    }
}

/* The replay store comes first: a key without one would look like a store that was lost. */
static void begin_commands(struct vault *vault, int folder)
{
    const struct command_setup setup = {
        .verifier = vault->verifier,
        .tokens = {&vault->tokens[0], &vault->tokens[1]},
        .keys = vault->store,
        .signer = &vault->service.signer,
        .grant = vault->grant,
        .folder = folder,
    };
    int error = command_begin(&vault->commands, &setup, now());
    if (error)
        worker_fail(WORKER_EXIT_FAILED, "no memory for commands: %s", strerror(-error));
    command_open(&vault->commands, now());
    vault->service.hold = command_holds_key(&vault->commands);
}

static void begin(struct vault *vault)
{
    const ipc_Welcome *welcome = &vault->worker.welcome;
    if (welcome->which_config != ipc_Welcome_vault_tag)
        worker_fail(WORKER_EXIT_PROTOCOL, "the welcome is not the vault's");
    int folder = state_folder_open(STATE_FOLDER);
    if (folder < 0)
        worker_fail(WORKER_EXIT_FAILED, "%s: %s", STATE_FOLDER, strerror(-folder));
    if (service_begin(&vault->service, vault->store, folder, &welcome->config.vault, now_ms()))
        worker_fail(WORKER_EXIT_PROTOCOL, "the console's name is too long");
    begin_commands(vault, folder);
    service_open(&vault->service, unix_ms());
    tell_events(&vault->worker, &vault->service, &vault->commands);
}

/* Everything that needs memory which is locked, or a library's own files. */
static void prepare(struct vault *vault)
{
    struct command_keys table;
    if (sodium_init() < 0)
        worker_fail(WORKER_EXIT_FAILED, "libsodium does not start");
    int error = key_store_new(&vault->store);
    if (error)
        worker_fail(WORKER_EXIT_FAILED, "no memory for keys: %s", strerror(-error));
    error = order_key_take(GRANT_FD, &vault->grant);
    if (error)
        worker_fail(WORKER_EXIT_FAILED, "the monitor's grant: %s", strerror(-error));
    command_keys_built_in(&table);
    const char *flaw = command_keys_flaw(&table);
    if (flaw)
        worker_fail(WORKER_EXIT_FAILED, "the keys that are built in: %s", flaw);
    error = token_verifier_new(&vault->verifier, &table);
    if (error)
        worker_fail(WORKER_EXIT_FAILED, "the verifier does not start: %s", strerror(-error));
}

int main(int argc, char **argv)
{
    static struct vault vault;
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return command_keys_print(); /* by hand: a worker is started without arguments */
    if (sandbox_early())
        return WORKER_EXIT_SANDBOX;
    log_setup("vault", 1);
    umask(077);
    prepare(&vault);
    worker_start(&vault.worker, "vault", IPC_PEER_VAULT, &vault_filter);
    worker_lock(&vault.worker);
    begin(&vault);
    serve(&vault);
}

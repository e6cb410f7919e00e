/*
 * cloister-vault: holds the machine's key and signs with it.
 *
 * Everything that reads a file or a request runs behind the lock: the state folder is opened after
 * it, by the one path that Landlock leaves.
 */
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "command_keys.h"
#include "log.h"
#include "service.h"
#include "state_folder.h"
#include "vault_filter.h"
#include "worker.h"

#define STATE_FOLDER "/state" /* where vault.policy mounts it */

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

static void tell_events(struct worker *worker, struct service *service)
{
    ipc_VaultEvent event;
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

static void handle(struct worker *worker, struct service *service, const struct message *message)
{
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
    tell_events(worker, service);
}

static void serve(struct worker *worker, struct service *service)
{
    for (;;) {
        struct message message;
        worker_wait(worker, NULL, 0, -1);
        while (worker_next(worker, &message)) {
            handle(worker, service, &message);
            message_free(&message);
        }
    }
}

static void begin(struct worker *worker, struct service *service, struct key_store *store)
{
    if (worker->welcome.which_config != ipc_Welcome_vault_tag)
        worker_fail(WORKER_EXIT_PROTOCOL, "the welcome is not the vault's");
    int folder = state_folder_open(STATE_FOLDER);
    if (folder < 0)
        worker_fail(WORKER_EXIT_FAILED, "%s: %s", STATE_FOLDER, strerror(-folder));
    if (service_begin(service, store, folder, &worker->welcome.config.vault, now_ms()))
        worker_fail(WORKER_EXIT_PROTOCOL, "the console's name is too long");
    service_open(service, unix_ms());
    tell_events(worker, service);
}

int main(int argc, char **argv)
{
    static struct worker worker;
    static struct service service;
    struct key_store *store;
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return command_keys_print(); /* by hand: a worker is started without arguments */
    if (sandbox_early())
        return WORKER_EXIT_SANDBOX;
    log_setup("vault", 1);
    umask(077);
    if (sodium_init() < 0)
        worker_fail(WORKER_EXIT_FAILED, "libsodium does not start");
    int error = key_store_new(&store);
    if (error)
        worker_fail(WORKER_EXIT_FAILED, "no memory for keys: %s", strerror(-error));
    worker_start(&worker, "vault", IPC_PEER_VAULT, &vault_filter);
    worker_lock(&worker);
    begin(&worker, &service, store);
    serve(&worker, &service);
}

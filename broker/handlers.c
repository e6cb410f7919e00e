#include "broker.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define COPY_TEXT(to, from) snprintf((to), sizeof(to), "%s", (from))

/* Decodes into `out` or cuts the peer off. */
static bool decode(struct broker *b, struct peer *from, const struct message *m, void *out)
{
    if (envelope_decode(&m->envelope, out) == ENVELOPE_OK)
        return true;
    peer_violates(b, from, "%s whose body does not decode", m->envelope.type->name);
    return false;
}

/* ---- handshake ---- */

/* 0, or why this ticket cannot be opened now. */
static ipc_RefusalReason open_ticket(struct broker *b, struct peer *from, uint32_t request)
{
    struct ticket *open = ticket_of_uid(b, from->uid);
    if (open) {
        ipc_Refused refused = {.reason = ipc_RefusalReason_ALREADY_OPEN};
        refused.pid = (uint32_t)open->peer->pid;
        snprintf(refused.detail, sizeof(refused.detail), "already open in process %d",
                 (int)open->peer->pid);
        router_answer(b, from, request, IPC_REFUSED, &refused, NULL, 0);
        return ipc_RefusalReason_ALREADY_OPEN;
    }
    if (!ticket_open(b, from)) {
        router_refuse(b, from, request, ipc_RefusalReason_TOO_MANY, "too many tickets are open");
        return ipc_RefusalReason_TOO_MANY;
    }
    return ipc_RefusalReason_REFUSED_UNSPECIFIED;
}

static void on_hello(struct broker *b, struct peer *from, const struct message *m)
{
    ipc_Hello hello;
    uint32_t request = m->envelope.request;
    if (!decode(b, from, m, &hello))
        return;
    if (memcmp(hello.schema_digest, ipc_schema_digest, sizeof(ipc_schema_digest)) != 0) {
        log_error("%s[%d] is of another build than the broker", ipc_peer_names[from->kind],
                  (int)from->pid);
        router_refuse(b, from, request, ipc_RefusalReason_SCHEMA_MISMATCH,
                      "this program and the running agent are of different builds; restart the "
                      "agent");
        return;
    }
    switch (from->kind) {
    case IPC_PEER_TICKET:
        if (open_ticket(b, from, request))
            return;
        from->deadline_ms = 0;
        from->phase = IPC_PHASE_REVIEW;
        break;
    case IPC_PEER_CONTROL:
    case IPC_PEER_ADMIN:
        from->deadline_ms = 0;
        from->phase = IPC_PHASE_SERVE;
        break;
    default: /* a worker: Ready must follow in time */
        break;
    }
    welcome_send(b, from, request);
}

static void on_ready(struct broker *b, struct peer *from, const struct message *m)
{
    ipc_Ready ready;
    if (!decode(b, from, m, &ready))
        return;
    if (!ready.has_lock || ready.lock.seccomp_mode != 2 || !ready.lock.no_new_privs ||
        ready.lock.cap_eff != 0) {
        peer_violates(b, from, "a Ready without a shut lock");
        return;
    }
    supervisor_serves(b, from, &ready.lock);
}

/* ---- capture ---- */

void capture_down(struct broker *b, ipc_CapturePhase phase, const char *detail)
{
    bool had_frames = b->capture.frames > 0;
    bool news = b->capture.phase != phase;
    b->capture = (ipc_CaptureStatus){.phase = phase};
    COPY_TEXT(b->capture.detail, detail);
    if (news)
        tickets_notice(b, had_frames);
}

static void on_capture_state(struct broker *b, struct peer *from, const struct message *m)
{
    ipc_CaptureState state;
    if (!decode(b, from, m, &state))
        return;
    bool news = b->capture.phase != state.status.phase;
    bool forgotten = b->capture.frames > 0 && state.status.frames == 0;
    b->capture = state.status;
    if (news || forgotten)
        tickets_notice(b, forgotten);
}

/* ---- vault, uplink, resolver ---- */

static void on_vault_event(struct broker *b, struct peer *from, const struct message *m)
{
    ipc_VaultEvent event;
    if (!decode(b, from, m, &event))
        return;
    static const char *const words[] = {
        [ipc_VaultEventKind_KEY_CREATED] = "a machine key was made",
        [ipc_VaultEventKind_KEY_ROTATED] = "a new machine key was made",
        [ipc_VaultEventKind_KEY_SET_ASIDE] = "the machine key is corrupt and was set aside",
        [ipc_VaultEventKind_IDENTIFIER_NOT_READABLE] = "a serial number cannot be read",
        [ipc_VaultEventKind_IDENTIFIER_ADOPTED] = "a serial number was recorded",
        [ipc_VaultEventKind_KEY_NOT_AVAILABLE] = "the machine key cannot be used now",
        [ipc_VaultEventKind_IDENTIFIER_NOT_RECORDED] = "a serial number could not be recorded",
        [ipc_VaultEventKind_BINDING_WEAK] = "the machine key is bound to no hardware",
        [ipc_VaultEventKind_STORE_NOT_USABLE] = "signed commands are refused",
    };
    size_t kind = (size_t)event.kind;
    if (kind == 0 || kind >= sizeof(words) / sizeof(words[0])) {
        peer_violates(b, from, "a VaultEvent of no known kind");
        return;
    }
    bool alert = event.kind == ipc_VaultEventKind_KEY_ROTATED ||
                 event.kind == ipc_VaultEventKind_KEY_SET_ASIDE ||
                 event.kind == ipc_VaultEventKind_STORE_NOT_USABLE ||
                 event.kind == ipc_VaultEventKind_KEY_NOT_AVAILABLE;
    log_line(alert ? LOG_ALERT : LOG_NOTICE, "vault: %s: %s", words[kind], event.detail);
    if (event.kind == ipc_VaultEventKind_KEY_ROTATED)
        connection_renew(b);
}

static void on_uplink_state(struct broker *b, struct peer *from, const struct message *m)
{
    ipc_UplinkState state;
    if (!decode(b, from, m, &state))
        return;
    if (state.status.phase < ipc_UplinkPhase_UPLINK_CONNECTING ||
        state.status.phase > ipc_UplinkPhase_UPLINK_WAITING) {
        peer_violates(b, from, "an UplinkState that is not uplink's to declare");
        return;
    }
    connection_state(b, from, &state.status);
}

static void on_resolve_answer(struct broker *b, struct peer *from, const struct message *m)
{
    ipc_ResolveAnswer answer;
    if (!decode(b, from, m, &answer))
        return;
    for (pb_size_t i = 0; i < answer.addresses_count; i++) {
        pb_size_t size = answer.addresses[i].address.size;
        if (size != 4 && size != 16) {
            peer_violates(b, from, "an address that is none");
            return;
        }
    }
    connection_resolved(b, from, &answer);
}

static void on_runner_wanted(struct broker *b, struct peer *from, const struct message *m)
{
    ipc_RunnerWanted wanted;
    if (decode(b, from, m, &wanted))
        commands_wanted(b, from, &wanted);
}

/* ---- status ---- */

static void fill_worker(const struct supervised *w, ipc_WorkerStatus *to, uint64_t offset)
{
    COPY_TEXT(to->name, w->name);
    to->state = w->disabled ? ipc_WorkerState_WORKER_DISABLED
                : !w->peer  ? ipc_WorkerState_WORKER_DOWN
                : w->peer->phase == IPC_PHASE_SERVE && !w->peer->condemned
                    ? ipc_WorkerState_WORKER_SERVING
                    : ipc_WorkerState_WORKER_STARTING;
    to->pid = w->peer ? (uint32_t)w->peer->pid : 0;
    to->uid = w->peer ? w->peer->uid : 0;
    to->since_ms = w->since_ms + offset;
    to->restarts = w->restarts;
    COPY_TEXT(to->reason, w->reason);
    to->has_lock = to->state == ipc_WorkerState_WORKER_SERVING;
    to->lock = w->lock;
    to->retry_at_ms = w->wanted && !w->peer ? w->retry_at_ms + offset : 0;
}

static void fill_broker(const struct broker *b, ipc_WorkerStatus *to)
{
    COPY_TEXT(to->name, "broker");
    to->state = ipc_WorkerState_WORKER_SERVING;
    to->pid = (uint32_t)getpid();
    to->uid = getuid();
    to->since_ms = b->started_unix_ms;
    to->has_lock = true;
    to->lock = b->lock;
}

static void on_status(struct broker *b, struct peer *from, uint32_t request)
{
    static ipc_StatusReply reply; /* large; one thread */
    reply = (ipc_StatusReply)ipc_StatusReply_init_zero;
    uint64_t offset = unix_ms() - monotonic_ms();
    COPY_TEXT(reply.version, CLOISTER_VERSION);
    reply.started_ms = b->started_unix_ms;
    for (size_t i = 0; i < SUPERVISED; i++) /* a runner is nothing that could be missing */
        if (b->workers[i].peer || b->workers[i].kind != IPC_PEER_RUNNER)
            fill_worker(&b->workers[i], &reply.workers[reply.workers_count++], offset);
    fill_broker(b, &reply.broker);
    reply.has_broker = reply.has_uplink = reply.has_capture = true;
    reply.uplink = b->uplink;
    reply.capture = b->capture;
    if (b->config->console.host[0])
        snprintf(reply.console, sizeof(reply.console), "%s:%u", b->config->console.host,
                 b->config->console.port);
    COPY_TEXT(reply.overlay, sandbox_overlay() ? sandbox_overlay() : "");
    reply.refusals = b->refusals;
    router_answer(b, from, request, IPC_STATUS_REPLY, &reply, NULL, 0);
}

/* ---- dispatch ---- */

void handlers_message(struct broker *b, struct peer *from, const struct message *m)
{
    switch (m->envelope.number) {
    case IPC_HELLO:
        on_hello(b, from, m);
        break;
    case IPC_READY:
        on_ready(b, from, m);
        break;
    case IPC_CAPTURE_STATE:
        on_capture_state(b, from, m);
        break;
    case IPC_VAULT_EVENT:
        on_vault_event(b, from, m);
        break;
    case IPC_UPLINK_STATE:
        on_uplink_state(b, from, m);
        break;
    case IPC_RESOLVE_ANSWER:
        on_resolve_answer(b, from, m);
        break;
    case IPC_RUNNER_WANTED:
        on_runner_wanted(b, from, m);
        break;
    case IPC_CONSENT:
        ticket_consent(b, from, m);
        break;
    case IPC_TICKET_CANCEL:
        from->phase = IPC_PHASE_CLOSED;
        ticket_end(b, from->ticket);
        break;
    case IPC_STATUS:
        on_status(b, from, m->envelope.request);
        break;
    default:
        /* A route without a handler is a hole in the broker; broker_test looks for one. */
        peer_violates(b, from, "%s, which nothing handles", m->envelope.type->name);
    }
}

void handlers_answer(struct broker *b, uint16_t request_type, uint32_t tag, const struct message *m)
{
    if (request_type == IPC_SIGN_ORIGIN)
        ticket_origin(b, tag, m);
}

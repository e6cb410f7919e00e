#include "broker.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exit_code.h"
#include "log.h"

#define START_WAIT_MS  15000 /* from START to Ready */
#define FIRST_RETRY_MS 100
#define LAST_RETRY_MS  60000
#define NOT_YET_MS     3000  /* how often something that is awaited (an X server) is looked for */
#define STEADY_MS      60000 /* serving so long makes up for earlier failures */
/* A runner's: an hour of its command, an hour for undelivered output, and what comes between. */
#define RUNNER_LIFE_MS (2 * 3600000 + 300000)

static void set_reason(struct supervised *w, const char *why)
{
    snprintf(w->reason, sizeof(w->reason), "%s", why);
}

void supervisor_init(struct broker *b)
{
    commands_init(b);
    static const struct {
        enum ipc_peer kind;
        const char *name;
        bool keep;
    } kinds[SUPERVISED] = {
        [RUN_VAULT] = {IPC_PEER_VAULT, "vault", true},
        [RUN_CAPTURE] = {IPC_PEER_CAPTURE, "capture", true},
        [RUN_UPLINK] = {IPC_PEER_UPLINK, "uplink", false},
        [RUN_RESOLVER] = {IPC_PEER_RESOLVER, "resolver", false},
        [RUN_RUNNER] = {IPC_PEER_RUNNER, MONITOR_RUNNER_KIND, false},
    };
    for (uint32_t i = 0; i < SUPERVISED; i++) {
        b->workers[i] = (struct supervised){
            .kind = kinds[i].kind,
            .name = kinds[i].name,
            .keep = kinds[i].keep,
            .wanted = kinds[i].keep,
            .slot = i,
            .backoff = {.first_ms = FIRST_RETRY_MS, .most_ms = LAST_RETRY_MS},
            .since_ms = monotonic_ms(),
            .log = {.fd = -1},
        };
    }
    if (!b->config->capture.screenshots) {
        struct supervised *capture = &b->workers[RUN_CAPTURE];
        capture->wanted = capture->keep = false;
        capture->disabled = true;
        set_reason(capture, "screenshots = off");
        capture_down(b, ipc_CapturePhase_CAPTURE_OFF, "switched off in the configuration");
    }
    if (!b->config->console.host[0]) {
        b->workers[RUN_UPLINK].disabled = b->workers[RUN_RESOLVER].disabled = true;
        set_reason(&b->workers[RUN_UPLINK], "no console is configured");
        set_reason(&b->workers[RUN_RESOLVER], "no console is configured");
    }
}

struct supervised *supervisor_of(struct broker *b, enum ipc_peer kind)
{
    for (size_t i = 0; i < SUPERVISED; i++)
        if (b->workers[i].kind == kind)
            return &b->workers[i];
    return NULL;
}

struct supervised *supervisor_of_peer(struct broker *b, const struct peer *peer)
{
    for (size_t i = 0; i < SUPERVISED; i++)
        if (b->workers[i].peer == peer)
            return &b->workers[i];
    return NULL;
}

struct peer *supervisor_serving(struct broker *b, enum ipc_peer kind)
{
    struct supervised *w = supervisor_of(b, kind);
    if (!w || !w->peer || w->peer->condemned || w->peer->phase != IPC_PHASE_SERVE)
        return NULL;
    return w->peer;
}

static void retry_in(struct supervised *w, uint64_t wait_ms)
{
    w->since_ms = monotonic_ms();
    w->retry_at_ms = w->since_ms + wait_ms;
    w->wanted = w->keep && !w->disabled;
}

/* The worker is down: tell whoever lives by it, and decide when to try again. */
static void went_down(struct broker *b, struct supervised *w, uint64_t wait_ms)
{
    if (w->kind == IPC_PEER_CAPTURE && b->capture.phase >= ipc_CapturePhase_CAPTURE_CAPTURING)
        capture_down(b, ipc_CapturePhase_CAPTURE_NOT_RUNNING, w->reason);
    retry_in(w, wait_ms);
    if (w->kind == IPC_PEER_RUNNER)
        commands_over(b);
    else if (!w->keep && !w->disabled)
        connection_ended(b, w->kind, w->reason);
}

static void start(struct broker *b, struct supervised *w)
{
    w->wanted = w->finished = false;
    w->generation = ++b->last_generation;
    char path[108];
    struct peer *peer = peer_new(b, w->kind);
    if (!peer ||
        monitor_channel_path(path, sizeof(path), b->config->runtime_dir, w->slot, w->generation)) {
        set_reason(w, "no room for another peer");
        went_down(b, w, LAST_RETRY_MS);
        return;
    }
    unlink(path); /* left by a broker that was killed; the folder is ours alone */
    int error = channel_listen(&peer->channel, path, w->kind, b->wake_fd);
    if (error) {
        snprintf(w->reason, sizeof(w->reason), "cannot make its channel: %s", strerror(-error));
        log_error("%s: %s", w->name, w->reason);
        peer_end(b, peer);
        went_down(b, w, backoff_next(&w->backoff, broker_random()));
        return;
    }
    peer->deadline_ms = monotonic_ms() + START_WAIT_MS;
    w->peer = peer;
    w->since_ms = monotonic_ms();
    w->lock = (ipc_LockReport){0};
    peer_watch(b, peer);
    monitor_start(b, w->slot, w->generation, w->name,
                  w->kind == IPC_PEER_RUNNER ? &b->command.now : NULL);
}

uint64_t supervisor_tick(struct broker *b, uint64_t now)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < SUPERVISED && !b->stop_at_ms; i++) {
        struct supervised *w = &b->workers[i];
        if (w->wanted && !w->peer && w->retry_at_ms <= now)
            start(b, w);
        else if (w->wanted && !w->peer && w->retry_at_ms < next)
            next = w->retry_at_ms;
        if (w->peer && !w->peer->condemned && w->peer->deadline_ms) {
            if (w->peer->deadline_ms <= now)
                supervisor_kill(b, w,
                                w->peer->phase == IPC_PHASE_SERVE
                                    ? "it has run for longer than any command may"
                                    : "it did not become ready in time");
            else if (w->peer->deadline_ms < next)
                next = w->peer->deadline_ms;
        }
    }
    return next;
}

void supervisor_want(struct broker *b, enum ipc_peer kind)
{
    struct supervised *w = supervisor_of(b, kind);
    if (w->disabled || w->peer)
        return;
    w->wanted = true;
    w->retry_at_ms = 0;
}

/* The worker that a message of the monitor is about, if it is still the same instance. */
static struct supervised *instance_of(struct broker *b, const struct monitor_message *m)
{
    if (m->slot >= SUPERVISED) /* the slots of workers are their places in the table */
        return NULL;
    struct supervised *w = &b->workers[m->slot];
    return w->peer && w->generation == m->generation ? w : NULL;
}

void supervisor_started(struct broker *b, const struct monitor_message *m, int log_fd)
{
    struct supervised *w = instance_of(b, m);
    if (!w || log_fd < 0) {
        log_error("the monitor started what nobody asked for");
        if (log_fd >= 0)
            close(log_fd);
        return;
    }
    w->peer->pid = m->pid;
    w->peer->uid = m->uid;
    if (log_pipe_open(&w->log, b->loop, log_fd, w->name, m->pid))
        log_warning("%s: its log cannot be read", w->name);
    /* Only now may the child run on: the channel knows whom to accept. */
    channel_expect(w->peer->channel, m->pid, m->uid);
    monitor_send(b, MONITOR_RELEASE, w->slot, w->generation);
    if (w->kind == IPC_PEER_RUNNER && !w->peer->condemned)
        commands_runner_started(b);
}

static void take_down(struct broker *b, struct supervised *w)
{
    struct peer *peer = w->peer;
    log_pipe_close(&w->log);
    w->peer = NULL;
    peer_end(b, peer);
    if (w->kind == IPC_PEER_VAULT)
        commands_vault_gone(b);
}

static const char *refusal_words(uint32_t reason)
{
    static const char *const words[] = {
        [MONITOR_REASON_UNKNOWN_KIND] = "it has no policy",
        [MONITOR_REASON_OFF] = "the configuration switches it off",
        [MONITOR_REASON_TOO_MANY] = "as many as its policy allows are running",
        [MONITOR_REASON_RATE] = "it was started too often",
        [MONITOR_REASON_STOPPING] = "the agent is stopping",
        [MONITOR_REASON_NO_USER] = "its account is missing, or shared with another",
        [MONITOR_REASON_CGROUP] = "its control group could not be made",
        [MONITOR_REASON_EXECUTABLE] = "its program is missing, or others than root could change it",
        [MONITOR_REASON_SYSTEM] = "a system call failed",
        [MONITOR_REASON_PROFILE] = "the configuration does not allow its profile",
        [MONITOR_REASON_DIGEST] = "it is not in the configuration's list of commands",
    };
    return reason < sizeof(words) / sizeof(words[0]) && words[reason] ? words[reason]
                                                                      : "for a reason unknown here";
}

void supervisor_refused(struct broker *b, const struct monitor_message *m)
{
    struct supervised *w = instance_of(b, m);
    if (!w)
        return;
    uint64_t wait = NOT_YET_MS;
    switch (m->reason) {
    case MONITOR_REASON_NO_SESSION:
        set_reason(w, "nobody is logged in to a desktop");
        capture_down(b, ipc_CapturePhase_CAPTURE_NO_SESSION, w->reason);
        break;
    case MONITOR_REASON_WAYLAND:
        set_reason(w, "screenshots unavailable: Wayland");
        capture_down(b, ipc_CapturePhase_CAPTURE_WAYLAND, w->reason);
        wait = LAST_RETRY_MS;
        break;
    default:
        snprintf(w->reason, sizeof(w->reason), "the monitor did not start it: %s%s%s",
                 refusal_words(m->reason), m->code ? ": " : "", m->code ? strerror(m->code) : "");
        log_error("%s: %s", w->name, w->reason);
        wait = backoff_next(&w->backoff, broker_random());
    }
    if (w->kind == IPC_PEER_RUNNER)
        commands_lost(b, commands_word(m->reason));
    take_down(b, w);
    went_down(b, w, wait);
}

void supervisor_launch_failed(struct broker *b, const struct monitor_message *m)
{
    struct supervised *w = instance_of(b, m);
    if (!w)
        return;
    snprintf(w->reason, sizeof(w->reason), "its sandbox cannot be built: %.*s: %s",
             (int)strnlen(m->kind, sizeof(m->kind)), m->kind, strerror(m->code));
    log_alert("%s: %s", w->name, w->reason);
    w->peer->condemned = true; /* EXITED follows */
}

/* Words for how a process ended; keeps a reason that is known already. */
static void explain_exit(struct supervised *w, const struct monitor_message *m)
{
    /* The channel of a crashed worker may close before the news of the crash: then it knows better.
     */
    bool crashed = m->code != CLD_EXITED && m->value != SIGKILL;
    bool known = w->peer->condemned && w->reason[0] && !crashed;
    if (m->code == CLD_EXITED && m->value == WORKER_EXIT_SANDBOX)
        set_reason(w, "a layer of its sandbox is missing; see the log");
    else if (m->code == CLD_EXITED && m->value == WORKER_EXIT_UNAVAILABLE)
        set_reason(w, "what it needs cannot be had here; see the log");
    else if (m->code == CLD_EXITED && m->value == WORKER_EXIT_NOT_YET)
        set_reason(w, "waiting for the X server");
    else if (known)
        return;
    else if (m->code == CLD_EXITED)
        snprintf(w->reason, sizeof(w->reason), "exited with status %d", m->value);
    else
        snprintf(w->reason, sizeof(w->reason), "killed by signal %d (%s)", m->value,
                 m->value == SIGSYS ? "a forbidden system call" : strsignal(m->value));
}

void supervisor_exited(struct broker *b, const struct monitor_message *m)
{
    struct supervised *w = instance_of(b, m);
    if (!w)
        return;
    bool done = m->code == CLD_EXITED && m->value == WORKER_EXIT_DONE;
    bool not_yet = m->code == CLD_EXITED && m->value == WORKER_EXIT_NOT_YET;
    bool unavailable = m->code == CLD_EXITED && m->value == WORKER_EXIT_UNAVAILABLE;
    bool steady = w->peer->phase == IPC_PHASE_SERVE && monotonic_ms() - w->since_ms >= STEADY_MS;
    explain_exit(w, m);
    if (m->code != CLD_EXITED && m->value == SIGSYS)
        log_alert("%s[%d]: %s", w->name, m->pid, w->reason);
    else if (!done && !not_yet && !w->finished && !b->stop_at_ms)
        log_warning("%s[%d]: %s", w->name, m->pid, w->reason);
    if (w->kind == IPC_PEER_RUNNER)
        commands_runner_exits(b, w->peer, done);
    take_down(b, w);
    w->restarts += !(done && w->kind == IPC_PEER_RUNNER); /* which lives for one command */
    if (steady)
        backoff_reset(&w->backoff);
    if (not_yet && w->kind == IPC_PEER_CAPTURE)
        capture_down(b, ipc_CapturePhase_CAPTURE_WAITING_FOR_X, w->reason);
    went_down(b, w,
              not_yet       ? NOT_YET_MS
              : unavailable ? LAST_RETRY_MS
                            : backoff_next(&w->backoff, broker_random()));
}

void supervisor_serves(struct broker *b, struct peer *peer, const ipc_LockReport *lock)
{
    struct supervised *w = supervisor_of_peer(b, peer);
    peer->phase = IPC_PHASE_SERVE;
    w->lock = *lock;
    w->since_ms = monotonic_ms();
    /* One that hung would keep every later command waiting. */
    peer->deadline_ms = w->kind == IPC_PEER_RUNNER ? w->since_ms + RUNNER_LIFE_MS : 0;
    w->reason[0] = '\0';
    if (lock->below_preferred[0])
        log_alert("%s runs below what its policy prefers: %s", w->name, lock->below_preferred);
    if (w->kind == IPC_PEER_CAPTURE) {
        /* What changed while it started was told to nobody. */
        ipc_SessionChanged changed = {.active = b->session.active};
        router_notify(b, peer, IPC_SESSION_CHANGED, &changed, NULL, 0);
    }
    log_info("%s[%d] serves as uid %u: seccomp %u, %u threads, landlock %u%s", w->name, peer->pid,
             peer->uid, lock->seccomp_mode, lock->tasks, lock->landlock_abi,
             lock->mdwe ? ", mdwe" : "");
}

void supervisor_kill(struct broker *b, struct supervised *w, const char *why)
{
    if (!w->peer || w->peer->condemned)
        return;
    set_reason(w, why);
    w->peer->condemned = true;
    event_loop_remove(b->loop, &w->peer->channel_source);
    monitor_send(b, MONITOR_KILL, w->slot, w->generation);
}

#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define DEADLINE_MS 20000

/* ---- the broker ---- */

static void configure(struct world *w)
{
    struct agent_config *c = &w->config;
    c->magic = AGENT_CONFIG_MAGIC;
    c->size = sizeof(*c);
    snprintf(c->runtime_dir, sizeof(c->runtime_dir), "%s", w->folder);
    c->capture.screenshots = 1;
    snprintf(c->console.host, sizeof(c->console.host), "192.0.2.1");
    c->console.port = 443;
    c->ticket.gid = getegid();
    c->ticket.per_uid_connections = 4;
    c->ticket.max_bundle = 1u << 30;
    c->ticket.recipient_count = 1;
    snprintf(c->ticket.recipients[0], sizeof(c->ticket.recipients[0]),
             "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p");
}

struct world *world_new(void)
{
    static struct world w; /* large */
    memset(&w, 0, sizeof(w));
    strcpy(w.folder, "/tmp/refusal.XXXXXX");
    assert_non_null(mkdtemp(w.folder));
    char path[64];
    snprintf(path, sizeof(path), "%s/chan", w.folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/door", w.folder);
    assert_int_equal(mkdir(path, 0711), 0);
    assert_int_equal(chmod(w.folder, 0755), 0);
    configure(&w);
    log_set_level(getenv("VERBOSE") ? LOG_DEBUG : LOG_EMERG);

    struct broker *b = &w.b;
    b->config = &w.config;
    b->loop = event_loop_new();
    b->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    b->monitor_fd = pair[0];
    w.monitor = pair[1];
    b->wake_source = (struct event_source){.fd = b->wake_fd, .ready = router_wake, .context = b};
    b->monitor_source =
        (struct event_source){.fd = b->monitor_fd, .ready = monitor_ready, .context = b};
    assert_int_equal(event_loop_add(b->loop, &b->wake_source), 0);
    assert_int_equal(event_loop_add(b->loop, &b->monitor_source), 0);
    assert_int_equal(door_open(b), 0);
    supervisor_init(b);
    connection_init(b);
    b->uplink_retry_at_ms = 0; /* the test decides when uplink starts */
    return &w;
}

void world_free(struct world *w)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (w->b.clients[i].used)
            door_end(&w->b, w->b.clients[i].peer);
    log_pipe_close(&w->b.command.log);
    for (int i = 0; i < SUPERVISED; i++) {
        channel_free(w->ends[i].channel);
        log_pipe_close(&w->b.workers[i].log);
        if (w->b.workers[i].peer)
            peer_end(&w->b, w->b.workers[i].peer);
    }
    close(w->b.door_control_fd);
    close(w->b.door_ticket_fd);
    close(w->b.monitor_fd);
    close(w->b.wake_fd);
    close(w->b.loop);
    close(w->monitor);
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", w->folder);
    assert_int_equal(system(command), 0);
}

/* ---- the monitor, played ---- */

static void send_to_broker(struct world *w, struct monitor_message m, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = &m, .iov_len = sizeof(m)};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        header.msg_control = &control;
        header.msg_controllen = sizeof(control);
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    assert_int_equal(sendmsg(w->monitor, &header, 0), sizeof(m));
}

/* Notes what is asked for of signed commands; true if it is to be refused. */
static bool on_command(struct world *w, const struct monitor_message *m)
{
    struct played_commands *c = &w->commands;
    uint32_t reason = 0;
    if (strcmp(m->kind, MONITOR_RUNNER_KIND) == 0) {
        c->runner_starts++;
        c->runner = *m;
        reason = c->refuse_runner;
        assert_true(m->slot < MONITOR_COMMAND_SLOT);
        assert_int_equal(c->generation, 0); /* nothing of the one before is left */
    } else if (m->slot >= MONITOR_COMMAND_SLOT) {
        c->process_starts++;
        c->process = *m;
        reason = w->ends[RUN_RUNNER].generation ? c->refuse_process : MONITOR_REASON_NO_RUNNER;
        assert_int_equal(m->slot, c->runner.slot + MONITOR_COMMAND_SLOT);
        assert_string_equal(m->kind, monitor_command_kind(c->runner.profile));
        c->generation = reason ? 0 : m->generation;
        c->released = false;
    }
    struct monitor_message refused = {
        .op = MONITOR_REFUSED, .slot = m->slot, .generation = m->generation, .reason = reason};
    if (reason)
        send_to_broker(w, refused, -1);
    return reason != 0;
}

static void on_start(struct world *w, const struct monitor_message *m)
{
    int log[2];
    if (on_command(w, m))
        return;
    assert_int_equal(pipe2(log, O_CLOEXEC | O_NONBLOCK), 0);
    struct monitor_message started = {.op = MONITOR_STARTED,
                                      .slot = m->slot,
                                      .generation = m->generation,
                                      .pid = getpid(),
                                      .uid = geteuid()};
    memcpy(started.kind, m->kind, sizeof(started.kind));
    send_to_broker(w, started, log[0]);
    close(log[0]);
    close(log[1]);
    if (m->slot < SUPERVISED)
        w->ends[m->slot] =
            (struct worker_end){.generation = m->generation, .kills = w->ends[m->slot].kills};
}

static void send_exited(struct world *w, uint32_t slot, uint32_t generation, int code, int status)
{
    struct monitor_message exited = {.op = MONITOR_EXITED,
                                     .slot = slot,
                                     .generation = generation,
                                     .pid = getpid(),
                                     .code = code,
                                     .value = status};
    send_to_broker(w, exited, -1);
}

void world_process_exits(struct world *w)
{
    struct played_commands *c = &w->commands;
    if (c->generation)
        send_exited(w, c->process.slot, c->generation, CLD_KILLED, SIGKILL);
    c->generation = 0;
}

static void release_process(struct world *w, const struct monitor_message *m)
{
    struct monitor_message failed = {.op = MONITOR_LAUNCH_FAILED,
                                     .slot = m->slot,
                                     .generation = m->generation,
                                     .kind = "landlock",
                                     .code = EPERM};
    assert_int_equal(m->generation, w->commands.generation);
    w->commands.released = true;
    if (!w->commands.fail_launch)
        return;
    send_to_broker(w, failed, -1);
    world_process_exits(w);
}

static void on_release(struct world *w, const struct monitor_message *m)
{
    if (m->slot >= MONITOR_COMMAND_SLOT) {
        release_process(w, m);
        return;
    }
    struct worker_end *end = &w->ends[m->slot];
    char path[108];
    if (end->generation != m->generation)
        return; /* it crossed its end */
    assert_int_equal(monitor_channel_path(path, sizeof(path), w->folder, m->slot, m->generation),
                     0);
    int error = channel_dial(&end->channel, path, w->b.workers[m->slot].kind, false);
    if (error)
        fail_msg("cannot dial: %s", strerror(-error));
    ipc_Hello hello;
    memcpy(hello.schema_digest, ipc_schema_digest, sizeof(hello.schema_digest));
    assert_int_equal(channel_send(end->channel, IPC_HELLO, 1, &hello, NULL, 0), CHANNEL_OK);
}

/* A worker's end; a runner's command goes with it, as the monitor sees to. */
static void end_worker(struct world *w, uint32_t slot, int code, int status)
{
    struct worker_end *end = &w->ends[slot];
    uint32_t generation = end->generation;
    end->channel = channel_free(end->channel);
    end->generation = 0;
    end->serving = false;
    send_exited(w, slot, generation, code, status);
    if (slot == RUN_RUNNER)
        world_process_exits(w);
}

void world_exit(struct world *w, int index, int status)
{
    end_worker(w, (uint32_t)index, CLD_EXITED, status);
}

static void on_kill(struct world *w, const struct monitor_message *m)
{
    assert_true(m->slot < SUPERVISED); /* the monitor sees to commands */
    struct worker_end *end = &w->ends[m->slot];
    if (end->generation != m->generation)
        return;
    end->killed = true;
    end->kills++;
    end_worker(w, m->slot, CLD_KILLED, SIGKILL);
}

static bool play_monitor(struct world *w)
{
    struct monitor_message m;
    ssize_t n = recv(w->monitor, &m, sizeof(m), MSG_DONTWAIT);
    if (n < 0)
        return false;
    assert_int_equal(n, sizeof(m));
    if (m.op == MONITOR_START)
        on_start(w, &m);
    else if (m.op == MONITOR_RELEASE)
        on_release(w, &m);
    else if (m.op == MONITOR_KILL)
        on_kill(w, &m);
    return true;
}

/* ---- running ---- */

void world_run(struct world *w, bool (*done)(struct world *w, void *arg), void *arg)
{
    uint64_t deadline = monotonic_ms() + DEADLINE_MS;
    while (!done(w, arg)) {
        if (monotonic_ms() > deadline)
            fail_msg("the broker did not do what was awaited");
        int wait = broker_tick(&w->b);
        assert_int_equal(event_loop_run(w->b.loop, wait < 0 || wait > 1 ? 1 : wait), 0);
        while (play_monitor(w))
            ;
    }
}

static bool rounds_over(struct world *w, void *arg)
{
    (void)w;
    int *rounds = arg;
    return (*rounds)-- == 0;
}

void world_settle(struct world *w)
{
    int rounds = 20;
    world_run(w, rounds_over, &rounds);
}

static bool has_message(struct world *w, void *arg)
{
    (void)w;
    struct {
        struct channel *channel;
        struct message *out;
    } *a = arg;
    enum envelope_outcome why;
    return channel_receive(a->channel, a->out, &why) == CHANNEL_OK;
}

void world_receive(struct world *w, struct channel *channel, struct message *out)
{
    struct {
        struct channel *channel;
        struct message *out;
    } arg = {channel, out};
    world_run(w, has_message, &arg);
}

/* ---- workers ---- */

static bool is_dialled(struct world *w, void *arg)
{
    return w->ends[*(int *)arg].channel != NULL;
}

static bool is_serving(struct world *w, void *arg)
{
    return supervisor_serving(&w->b, w->b.workers[*(int *)arg].kind) != NULL;
}

static bool is_settled(struct world *w, void *arg)
{
    struct peer *peer = w->b.workers[*(int *)arg].peer;
    return !peer || !peer->condemned;
}

void world_drain(struct world *w, int index)
{
    struct message m;
    enum envelope_outcome why;
    while (w->ends[index].channel &&
           channel_receive(w->ends[index].channel, &m, &why) == CHANNEL_OK)
        message_free(&m);
}

void world_want_runner(struct world *w, uint32_t number, ipc_CommandProfile profile)
{
    ipc_RunnerWanted wanted = {.number = number, .profile = profile, .kid = "test-key"};
    memset(wanted.digest, 0xd1, sizeof(wanted.digest));
    memcpy(wanted.token, &number, sizeof(number));
    assert_int_equal(
        channel_send(w->ends[RUN_VAULT].channel, IPC_RUNNER_WANTED, 0, &wanted, NULL, 0),
        CHANNEL_OK);
}

void world_worker(struct world *w, int index, enum ipc_phase phase)
{
    struct supervised *s = &w->b.workers[index];
    world_run(w, is_settled, &index);
    if (!s->peer && index == RUN_RUNNER) {
        static uint32_t number = 1000;
        if (!w->b.command.live)
            world_want_runner(w, ++number, ipc_CommandProfile_PROFILE_DIAGNOSTIC);
    } else if (!s->peer) {
        /* The test's patience is not what the back-off protects. */
        backoff_reset(&s->backoff);
        supervisor_want(&w->b, s->kind);
        w->b.uplink_retry_at_ms = 0;
    }
    world_run(w, is_dialled, &index);
    struct worker_end *end = &w->ends[index];
    if (end->serving)
        return;
    struct message welcome;
    world_receive(w, end->channel, &welcome);
    assert_int_equal(welcome.envelope.number, IPC_WELCOME);
    message_free(&welcome);
    if (phase == IPC_PHASE_START)
        return;
    ipc_Ready ready = {.has_lock = true, .lock = {.seccomp_mode = 2, .no_new_privs = true}};
    assert_int_equal(channel_send(end->channel, IPC_READY, 0, &ready, NULL, 0), CHANNEL_OK);
    world_run(w, is_serving, &index);
    end->serving = true;
}

void world_all_serve(struct world *w)
{
    for (int i = 0; i < STANDING; i++)
        world_worker(w, i, IPC_PHASE_SERVE);
    w->b.uplink.phase = ipc_UplinkPhase_UPLINK_APPROVED;
    w->b.uplink_retry_at_ms = 0;
}

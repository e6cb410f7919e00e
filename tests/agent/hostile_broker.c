#include "hostile_broker.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct hostile hostile = {
    .vault = {.name = "vault", .log = -1},
    .runner = {.name = "runner", .slot = 4, .log = -1},
    .process = {.name = "process", .slot = 4 + MONITOR_COMMAND_SLOT, .log = -1},
};
static struct instance *const instances[] = {&hostile.vault, &hostile.runner, &hostile.process};
static uint32_t last_generation;

void say(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof(line) - 1, format, arguments);
    va_end(arguments);
    line[length] = '\n';
    (void)!write(STDERR_FILENO, line, (size_t)length + 1);
}

void fail(const char *what)
{
    say("FAILED: %s", what);
    exit(9);
}

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the monitor ---- */

void tell(const struct monitor_message *message)
{
    if (send(MONITOR_FD_SOCKET, message, sizeof(*message), MSG_NOSIGNAL) < 0)
        exit(8); /* it has had enough */
}

void tell_of(uint32_t op, const struct instance *it)
{
    struct monitor_message message = {.op = op, .slot = it->slot, .generation = it->generation};
    tell(&message);
}

static void on_monitor(void)
{
    struct monitor_message m;
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {&m, sizeof(m)};
    struct msghdr packet = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof(control)};
    int log = -1;
    if (recvmsg(MONITOR_FD_SOCKET, &packet, MSG_CMSG_CLOEXEC) != sizeof(m))
        exit(8);
    if (CMSG_FIRSTHDR(&packet))
        memcpy(&log, CMSG_DATA(CMSG_FIRSTHDR(&packet)), sizeof(log));
    hostile.stopping |= m.op == MONITOR_STOP;
    for (size_t i = 0; i < sizeof(instances) / sizeof(instances[0]); i++) {
        struct instance *it = instances[i];
        if (it->slot != m.slot || it->generation != m.generation)
            continue;
        it->started |= m.op == MONITOR_STARTED;
        it->refused |= m.op == MONITOR_REFUSED;
        it->exited |= m.op == MONITOR_EXITED;
        if (m.op == MONITOR_REFUSED)
            it->reason = m.reason;
        if (m.op == MONITOR_LAUNCH_FAILED)
            say("%s not launched: %s: %s", it->name, m.kind, strerror(m.code));
        if (m.op == MONITOR_STARTED) {
            it->log = log;
            it->pid = m.pid;
            if (it->channel)
                channel_expect(it->channel, m.pid, m.uid);
        }
        it->code = m.code;
        it->status = m.value;
    }
}

/* ---- what workers say ---- */

static void on_log(struct instance *it)
{
    char text[2048];
    ssize_t got = read(it->log, text, sizeof(text) - 1);
    if (got <= 0) {
        close(it->log);
        it->log = -1;
        return;
    }
    text[got] = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        say("%s: %s", it->name, line + (line[0] == '<' ? 3 : 0));
}

static void welcome(struct instance *it, uint32_t request)
{
    static ipc_Welcome body;
    body = (ipc_Welcome){.which_config = ipc_Welcome_vault_tag};
    if (it == &hostile.runner) {
        body.which_config = ipc_Welcome_runner_tag;
        body.config.runner.number = 1;
        memset(body.config.runner.token, 0xab, sizeof(body.config.runner.token));
    } else {
        body.config.vault.has_disk = body.config.vault.has_board = true;
    }
    channel_send(it->channel, IPC_WELCOME, request, &body, NULL, 0);
}

static void take_order(const struct message *message)
{
    envelope_decode(&message->envelope, &hostile.order.body);
    hostile.order.length = message->envelope.blob_length;
    memcpy(hostile.order.bytes, message->envelope.blob, hostile.order.length);
    hostile.orders++;
}

static void take_end(struct instance *it, const struct message *message)
{
    ipc_CommandFinished end;
    ipc_CommandRecorded recorded = {0};
    envelope_decode(&message->envelope, &end);
    hostile.finished++;
    hostile.code = end.code;
    channel_send(it->channel, IPC_COMMAND_RECORDED, message->envelope.request, &recorded, NULL, 0);
}

/* As an honest broker, vault and uplink would: whatever the runner gives away is taken. */
static void on_message(struct instance *it, const struct message *message)
{
    ipc_OutputTaken taken = {0};
    ipc_OutputEnded ended = {0};
    switch (message->envelope.number) {
    case IPC_HELLO:
        welcome(it, message->envelope.request);
        break;
    case IPC_READY:
        it->ready = true;
        break;
    case IPC_COMMAND_FETCH:
        hostile.fetch_request = message->envelope.request;
        break;
    case IPC_COMMAND_ORDER:
        take_order(message);
        break;
    case IPC_TOKEN_DECISION:
        hostile.decided = envelope_decode(&message->envelope, &hostile.decision) == ENVELOPE_OK;
        break;
    case IPC_RUNNER_WANTED:
        hostile.wanted = envelope_decode(&message->envelope, &hostile.want) == ENVELOPE_OK;
        break;
    case IPC_COMMAND_FINISHED:
        take_end(it, message);
        break;
    case IPC_OUTPUT_CHUNK:
        hostile.chunks++;
        say("output: %.*s", (int)message->envelope.blob_length,
            (const char *)message->envelope.blob);
        channel_send(it->channel, IPC_OUTPUT_TAKEN, message->envelope.request, &taken, NULL, 0);
        break;
    case IPC_OUTPUT_END:
        channel_send(it->channel, IPC_OUTPUT_ENDED, message->envelope.request, &ended, NULL, 0);
        break;
    default:
        break;
    }
}

void pump(void)
{
    struct pollfd fds[7] = {{.fd = MONITOR_FD_SOCKET, .events = POLLIN}};
    for (int i = 0; i < 3; i++) {
        fds[1 + i] = (struct pollfd){.fd = instances[i]->log, .events = POLLIN};
        fds[4 + i] = (struct pollfd){
            .fd = instances[i]->channel ? channel_fd(instances[i]->channel) : -1, .events = POLLIN};
    }
    poll(fds, 7, 100);
    if (fds[0].revents)
        on_monitor();
    for (int i = 0; i < 3; i++) {
        struct message message;
        enum envelope_outcome why;
        if (fds[1 + i].revents)
            on_log(instances[i]);
        while (instances[i]->channel &&
               channel_receive(instances[i]->channel, &message, &why) == CHANNEL_OK) {
            on_message(instances[i], &message);
            message_free(&message);
        }
    }
}

/* Goes on until one of the two is true. */
void await(const char *what, const bool *one, const bool *other)
{
    for (int64_t end = now_ms() + DEADLINE_MS; !*one && !*other; pump())
        if (now_ms() > end)
            fail(what);
}

/* ---- starting ---- */

bool asked_to_start(struct instance *it, const struct monitor_message *message)
{
    tell(message);
    await("an answer to START", &it->started, &it->refused);
    return it->started;
}

struct monitor_message start_of(struct instance *it, const char *kind)
{
    *it = (struct instance){.name = it->name,
                            .slot = it->slot,
                            .generation = ++last_generation,
                            .log = -1,
                            .channel = channel_free(it->channel)};
    struct monitor_message message = {
        .op = MONITOR_START, .slot = it->slot, .generation = it->generation};
    snprintf(message.kind, sizeof(message.kind), "%s", kind);
    return message;
}

static void open_channel(struct instance *it, enum ipc_peer peer)
{
    char path[108];
    static int wake = -1;
    if (wake < 0)
        wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    monitor_channel_path(path, sizeof(path), hostile.config.runtime_dir, it->slot, it->generation);
    if (channel_listen(&it->channel, path, peer, wake) != 0)
        fail("no channel");
}

bool ask_runner(uint32_t profile, const uint8_t digest[32])
{
    struct monitor_message message = start_of(&hostile.runner, MONITOR_RUNNER_KIND);
    message.profile = profile;
    memcpy(message.digest, digest, sizeof(message.digest));
    open_channel(&hostile.runner, IPC_PEER_RUNNER);
    return asked_to_start(&hostile.runner, &message);
}

bool ask_process(const char *kind)
{
    struct monitor_message message = start_of(&hostile.process, kind);
    return asked_to_start(&hostile.process, &message);
}

void start_vault(void)
{
    struct monitor_message message = start_of(&hostile.vault, "vault");
    open_channel(&hostile.vault, IPC_PEER_VAULT);
    if (!asked_to_start(&hostile.vault, &message))
        fail("no vault");
    tell_of(MONITOR_RELEASE, &hostile.vault);
    await("the vault", &hostile.vault.ready, &hostile.vault.exited);
}

/* A runner and its command's process, up to the point where it asks for its order. */
void start_command(const uint8_t digest[32])
{
    hostile.fetch_request = hostile.chunks = hostile.finished = 0;
    if (!ask_runner(MONITOR_PROFILE_DIAGNOSTIC, digest))
        fail("no runner");
    tell_of(MONITOR_RELEASE, &hostile.runner);
    if (!ask_process("cmd-diagnostic"))
        fail("no process");
    tell_of(MONITOR_RELEASE, &hostile.process);
    for (int64_t end = now_ms() + DEADLINE_MS; !hostile.fetch_request; pump())
        if (now_ms() > end || hostile.runner.exited)
            fail("the runner does not ask for its order");
}

void kill_runner(void)
{
    tell_of(MONITOR_KILL, &hostile.runner);
    await("the runner's end", &hostile.runner.exited, &hostile.runner.exited);
    await("the process's end", &hostile.process.exited, &hostile.process.exited);
}

/*
 * A broker that has been taken over: it stands in the place of cloister-broker, behind its policy,
 * with the real monitor, the real runner and the real process of a command. What it tries is named
 * by the configuration's [console] path; what came of it is said on its log.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent_config.h"
#include "channel.h"
#include "cloister.pb.h"
#include "monitor_protocol.h"

#define DEADLINE_MS 10000
#define ORDER_MAX   262144

/* One process that the monitor was asked for. */
struct instance {
    const char *name;
    uint32_t slot, generation;
    bool started, refused, exited, ready;
    uint32_t reason; /* refused: enum monitor_reason */
    int code, status, log, pid;
    struct channel *channel;
};

static struct agent_config config;
static struct instance vault = {.name = "vault", .log = -1};
static struct instance runner = {.name = "runner", .slot = 4, .log = -1};
static struct instance process = {.name = "process", .slot = 4 + MONITOR_COMMAND_SLOT, .log = -1};
static struct instance *const instances[] = {&vault, &runner, &process};
static uint32_t last_generation, fetch_request, chunks, finished, finished_code, orders;
static bool stopping;

/* The vault's last order. */
static struct {
    ipc_CommandOrder body;
    uint8_t bytes[ORDER_MAX];
    size_t length;
} order, earlier;

static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof(line) - 1, format, arguments);
    va_end(arguments);
    line[length] = '\n';
    (void)!write(STDERR_FILENO, line, (size_t)length + 1);
}

static void __attribute__((noreturn)) fail(const char *what)
{
    say("FAILED: %s", what);
    exit(9);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the monitor ---- */

static void tell(const struct monitor_message *message)
{
    if (send(MONITOR_FD_SOCKET, message, sizeof(*message), MSG_NOSIGNAL) < 0)
        exit(8); /* it has had enough */
}

static void tell_of(uint32_t op, const struct instance *it)
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
    stopping |= m.op == MONITOR_STOP;
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
    if (it == &runner) {
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
    envelope_decode(&message->envelope, &order.body);
    order.length = message->envelope.blob_length;
    memcpy(order.bytes, message->envelope.blob, order.length);
    orders++;
}

static void take_end(struct instance *it, const struct message *message)
{
    ipc_CommandFinished end;
    ipc_CommandRecorded recorded = {0};
    envelope_decode(&message->envelope, &end);
    finished++;
    finished_code = end.code;
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
        fetch_request = message->envelope.request;
        break;
    case IPC_COMMAND_ORDER:
        take_order(message);
        break;
    case IPC_COMMAND_FINISHED:
        take_end(it, message);
        break;
    case IPC_OUTPUT_CHUNK:
        chunks++;
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

static void pump(void)
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
static void await(const char *what, const bool *one, const bool *other)
{
    for (int64_t end = now_ms() + DEADLINE_MS; !*one && !*other; pump())
        if (now_ms() > end)
            fail(what);
}

/* ---- starting ---- */

static bool asked_to_start(struct instance *it, const struct monitor_message *message)
{
    tell(message);
    await("an answer to START", &it->started, &it->refused);
    return it->started;
}

static struct monitor_message start_of(struct instance *it, const char *kind)
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
    monitor_channel_path(path, sizeof(path), config.runtime_dir, it->slot, it->generation);
    if (channel_listen(&it->channel, path, peer, wake) != 0)
        fail("no channel");
}

static bool ask_runner(uint32_t profile, const uint8_t digest[32])
{
    struct monitor_message message = start_of(&runner, MONITOR_RUNNER_KIND);
    message.profile = profile;
    memcpy(message.digest, digest, sizeof(message.digest));
    open_channel(&runner, IPC_PEER_RUNNER);
    return asked_to_start(&runner, &message);
}

static bool ask_process(const char *kind)
{
    struct monitor_message message = start_of(&process, kind);
    return asked_to_start(&process, &message);
}

static void start_vault(void)
{
    struct monitor_message message = start_of(&vault, "vault");
    open_channel(&vault, IPC_PEER_VAULT);
    if (!asked_to_start(&vault, &message))
        fail("no vault");
    tell_of(MONITOR_RELEASE, &vault);
    await("the vault", &vault.ready, &vault.exited);
}

/* A runner and its command's process, up to the point where it asks for its order. */
static void start_command(const uint8_t digest[32])
{
    fetch_request = chunks = finished = 0;
    if (!ask_runner(MONITOR_PROFILE_DIAGNOSTIC, digest))
        fail("no runner");
    tell_of(MONITOR_RELEASE, &runner);
    if (!ask_process("cmd-diagnostic"))
        fail("no process");
    tell_of(MONITOR_RELEASE, &process);
    for (int64_t end = now_ms() + DEADLINE_MS; !fetch_request; pump())
        if (now_ms() > end || runner.exited)
            fail("the runner does not ask for its order");
}

static void kill_runner(void)
{
    tell_of(MONITOR_KILL, &runner);
    await("the runner's end", &runner.exited, &runner.exited);
    await("the process's end", &process.exited, &process.exited);
}

/* ---- against the local policy ---- */

static void try_runner(const char *what, uint32_t profile, const uint8_t digest[32])
{
    bool got = ask_runner(profile, digest);
    say("%s: %s %u", what, got ? "STARTED" : "refused", runner.reason);
    if (got)
        kill_runner();
}

static void try_process(const char *what, const char *kind)
{
    bool got = ask_process(kind);
    say("%s: %s %u", what, got ? "STARTED" : "refused", process.reason);
}

static void against_policy(void)
{
    uint8_t other[32];
    const uint8_t *allowed = config.commands.allow[0];
    memcpy(other, allowed, sizeof(other));
    other[31] ^= 1;
    try_runner("profile user", MONITOR_PROFILE_USER, allowed);
    try_runner("profile admin", MONITOR_PROFILE_ADMIN, allowed);
    try_runner("another command", MONITOR_PROFILE_DIAGNOSTIC, other);
    try_process("a process without a runner", "cmd-diagnostic");
    if (!ask_runner(MONITOR_PROFILE_DIAGNOSTIC, allowed))
        fail("no runner");
    try_process("a process of the profile user", "cmd-user");
    try_process("a process of the profile admin", "cmd-admin");
    process.slot++;
    try_process("a process above nobody", "cmd-diagnostic");
    process.slot--;
    if (!ask_process("cmd-diagnostic"))
        fail("no process");
    tell_of(MONITOR_KILL, &process);
    await("the process's end", &process.exited, &process.exited);
    try_process("a second process", "cmd-diagnostic");
    tell_of(MONITOR_KILL, &runner);
    await("the runner's end", &runner.exited, &runner.exited);
    try_process("a process of a runner that is gone", "cmd-diagnostic");
}

/* Each is to be the end of this broker. */
static void against_protocol(const char *how)
{
    struct monitor_message message = start_of(&runner, MONITOR_RUNNER_KIND);
    message.profile = MONITOR_PROFILE_DIAGNOSTIC;
    memcpy(message.digest, config.commands.allow[0], sizeof(message.digest));
    if (strcmp(how, "/high") == 0) {
        message.slot = MONITOR_COMMAND_SLOT;
    } else if (strcmp(how, "/unprofiled") == 0) {
        message.profile = MONITOR_PROFILE_NONE;
    } else if (strcmp(how, "/low") == 0) {
        message = (struct monitor_message){
            .op = MONITOR_START, .slot = 0, .generation = 1, .kind = "cmd-diagnostic"};
    } else if (strcmp(how, "/again") == 0) {
        if (!asked_to_start(&runner, &message))
            fail("no runner");
        tell_of(MONITOR_KILL, &runner);
        await("the runner's end", &runner.exited, &runner.exited);
    } else if (strcmp(how, "/disguised") == 0) {
        strcpy(message.kind, "vault");
    } else {
        fail("no such scenario");
    }
    tell(&message);
    for (int64_t end = now_ms() + DEADLINE_MS; now_ms() < end; pump())
        ;
    fail("it goes on");
}

/* ---- against the runner ---- */

/* What the vault orders for that instance. */
static void get_order(uint32_t number, uint32_t slot, uint32_t generation)
{
    uint32_t before = orders;
    ipc_CommandFetch ask = {.number = number, .slot = slot, .generation = generation};
    channel_send(vault.channel, IPC_COMMAND_FETCH, 100 + orders, &ask, NULL, 0);
    for (int64_t end = now_ms() + DEADLINE_MS; orders == before; pump())
        if (now_ms() > end)
            fail("no order");
}

static void give_order(void)
{
    channel_send(runner.channel, IPC_COMMAND_ORDER, fetch_request, &order.body, order.bytes,
                 order.length);
}

/* Gives what `order` holds to a runner, and says what that did. */
static void try_order(const char *what)
{
    give_order();
    await("the runner's end", &runner.exited, &runner.exited);
    await("the process's end", &process.exited, &process.exited);
    pump(); /* its last words */
    say("%s: exit %d, chunks %u, finished %u, status %u", what,
        runner.code == CLD_EXITED ? runner.status : -runner.status, chunks, finished,
        finished_code);
}

/* A runner for the first command gets an order for something else, or one that was changed. */
static void try_changed(const char *what, uint32_t number, uint32_t slot_off,
                        uint32_t generation_off, size_t changed, bool in_tag)
{
    start_command(config.commands.allow[0]);
    get_order(number, runner.slot + slot_off, runner.generation - generation_off);
    if (in_tag)
        order.body.tag[changed / 8] ^= (uint8_t)(1u << changed % 8);
    else if (changed)
        order.bytes[changed] ^= 1;
    try_order(what);
}

static void against_runner(void)
{
    start_vault();
    for (size_t bit = 0; bit < 256; bit += 51)
        try_changed("a forged tag", 1, 0, 0, bit, true);
    try_changed("a changed slot", 1, 0, 0, 4, false);
    try_changed("a changed profile", 1, 0, 0, 12, false);
    try_changed("a changed digest", 1, 0, 0, 32, false);
    try_changed("a changed program", 1, 0, 0, 96 + 5, false);
    try_changed("another slot's order", 1, 1, 0, 0, false);
    try_changed("an earlier generation's order", 1, 0, 1, 0, false);
    try_changed("another command's order", 2, 0, 0, 0, false);
    try_changed("another profile's order", 3, 0, 0, 0, false);
    start_command(config.commands.allow[1]); /* let pass, and still not the one that is ordered */
    get_order(1, runner.slot, runner.generation);
    try_order("an order for what was not asked for");
    start_command(config.commands.allow[0]);
    get_order(1, runner.slot, runner.generation);
    order.length--;
    try_order("a shortened order");
    start_command(config.commands.allow[0]);
    get_order(1, runner.slot, runner.generation);
    memset(order.body.tag, 0, sizeof(order.body.tag));
    try_order("no tag");
    start_command(config.commands.allow[0]);
    get_order(1, runner.slot, runner.generation);
    earlier = order;
    try_order("the order that is its own");
    start_command(config.commands.allow[0]);
    order = earlier;
    try_order("the same once more, to the next");
    start_command(config.commands.allow[0]);
    get_order(1, runner.slot, runner.generation);
    give_order();
    try_order("the same twice, to one");
}

static void read_config(void)
{
    if (pread(MONITOR_FD_CONFIG, &config, sizeof(config), 0) != sizeof(config) ||
        config.magic != AGENT_CONFIG_MAGIC)
        fail("no configuration");
}

int main(void)
{
    read_config();
    if (channel_threads_start() != 0)
        fail("no threads");
    say("hostile %s", config.console.path);
    if (strcmp(config.console.path, "/policy") == 0)
        against_policy();
    else if (strcmp(config.console.path, "/off") == 0)
        try_runner("commands that are off", MONITOR_PROFILE_DIAGNOSTIC, config.commands.allow[0]);
    else if (strcmp(config.console.path, "/orders") == 0)
        against_runner();
    else
        against_protocol(config.console.path);
    say("all tried");
    while (!stopping)
        pump();
    return 0;
}

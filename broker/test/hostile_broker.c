/*
 * Stands in for cloister-broker in monitor_test.c. What it does is named by the configuration's
 * [console] path, which reaches it in the sealed memfd; what it sees it says on its log.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent_config.h"
#include "monitor_protocol.h"

static struct agent_config config;
static int worker_log = -1;

static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    line[length] = '\n';
    (void)!write(STDERR_FILENO, line, (size_t)length + 1);
}

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    say("FAILED: %s", line);
    exit(9);
}

static void send_bytes(const void *bytes, size_t size)
{
    if (send(MONITOR_FD_SOCKET, bytes, size, MSG_NOSIGNAL) < 0) {
        exit(8); /* the monitor has had enough */
    }
}

static void send_op(uint32_t op, uint32_t slot, uint32_t generation, const char *kind)
{
    struct monitor_message message = {.op = op, .slot = slot, .generation = generation};
    snprintf(message.kind, sizeof message.kind, "%s", kind);
    send_bytes(&message, sizeof message);
}

/* The next message; a log pipe that comes along is kept. */
static struct monitor_message next(void)
{
    struct monitor_message message;
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {&message, sizeof message};
    struct msghdr packet = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof control};
    if (recvmsg(MONITOR_FD_SOCKET, &packet, 0) != sizeof message) {
        exit(8);
    }
    struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
    if (header) {
        if (worker_log >= 0) {
            close(worker_log);
        }
        memcpy(&worker_log, CMSG_DATA(header), sizeof worker_log);
    }
    return message;
}

static struct monitor_message expect(uint32_t op)
{
    struct monitor_message message = next();
    if (message.op != op) {
        fail("op %u instead of %u, reason %u, code %d", message.op, op, message.reason,
             message.code);
    }
    return message;
}

static void expect_refused(uint32_t slot, uint32_t generation, enum monitor_reason reason)
{
    struct monitor_message message = expect(MONITOR_REFUSED);
    if (message.slot != slot || message.generation != generation || message.reason != reason) {
        fail("refused slot %u generation %u for reason %u", message.slot, message.generation,
             message.reason);
    }
}

/* Says the first line that worker `pid` writes to its log, and leaves it in `line`. */
static char line[256];
static void await_worker(int pid)
{
    memset(line, 0, sizeof line);
    size_t used = 0;
    fcntl(worker_log, F_SETFL, 0);
    while (used < sizeof line - 1 && !strchr(line, '\n')) {
        ssize_t got = read(worker_log, line + used, sizeof line - 1 - used);
        if (got <= 0) {
            struct monitor_message message = next();
            fail("the worker said nothing: op %u, stage %u, %s", message.op, message.reason,
                 strerror(message.code));
        }
        used += (size_t)got;
    }
    line[strcspn(line, "\n")] = 0;
    say("worker %d: %s", pid, line);
}

/* Starts an idle worker up to the point where it has said so. */
static void start_idle(uint32_t slot, uint32_t generation)
{
    send_op(MONITOR_START, slot, generation, "idle");
    struct monitor_message message = expect(MONITOR_STARTED);
    if (message.slot != slot || message.generation != generation || message.uid == 0 ||
        message.pid <= 0 || strcmp(message.kind, "idle") != 0 || worker_log < 0) {
        fail("STARTED is wrong");
    }
    send_op(MONITOR_RELEASE, slot, generation, "");
    await_worker(message.pid);
}

static void good(void)
{
    start_idle(0, 1);
    start_idle(63, 5);
    send_op(MONITOR_START, 1, 1, "idle");
    expect_refused(1, 1, MONITOR_REASON_TOO_MANY);
    send_op(MONITOR_START, 1, 2, "nonsense");
    expect_refused(1, 2, MONITOR_REASON_UNKNOWN_KIND);
    send_op(MONITOR_START, 1, 3, "broker");
    expect_refused(1, 3, MONITOR_REASON_UNKNOWN_KIND);
    send_op(MONITOR_KILL, 0, 1, "");
    struct monitor_message message = expect(MONITOR_EXITED);
    say("killed: slot %u, code %d, status %d", message.slot, message.code, message.value);
    send_op(MONITOR_KILL, 0, 1, ""); /* too late: ignored */
    start_idle(0, 2);
    send_op(MONITOR_KILL, 0, 2, "");
    (void)expect(MONITOR_EXITED);
    send_op(MONITOR_START, 0, 3, "idle"); /* killed at its gate */
    (void)expect(MONITOR_STARTED);
    send_op(MONITOR_KILL, 0, 3, "");
    (void)expect(MONITOR_EXITED);
}

/* Follows the session as the test changes it: the worker that needs X goes when its user does. */
static void follow_session(void)
{
    struct monitor_message message;
    send_op(MONITOR_START, 0, 1, "xidle");
    expect_refused(0, 1, MONITOR_REASON_NO_SESSION);
    say("no session");
    message = expect(MONITOR_SESSION);
    say("session %u of %u on %s, active %d", message.reason, message.uid, message.kind,
        message.value);
    send_op(MONITOR_START, 0, 2, "xidle");
    message = expect(MONITOR_STARTED);
    send_op(MONITOR_RELEASE, 0, 2, "");
    await_worker(message.pid);
    message = expect(MONITOR_SESSION);
    say("session %u of %u, active %d", message.reason, message.uid, message.value);
    message = expect(MONITOR_SESSION);
    say("session %u of %u, active %d", message.reason, message.uid, message.value);
    message = expect(MONITOR_EXITED);
    say("ended by signal %d", message.value);
    send_op(MONITOR_START, 0, 3, "xidle");
    expect_refused(0, 3, MONITOR_REASON_WAYLAND);
}

static int start_one(const struct monitor_message *message)
{
    send_bytes(message, sizeof *message);
    int pid = expect(MONITOR_STARTED).pid;
    send_op(MONITOR_RELEASE, message->slot, message->generation, "");
    return pid;
}

static struct monitor_message runner_of(uint32_t slot, uint32_t generation, uint32_t profile,
                                        int digest)
{
    struct monitor_message message = {.op = MONITOR_START,
                                      .slot = slot,
                                      .generation = generation,
                                      .profile = profile,
                                      .kind = MONITOR_RUNNER_KIND};
    memset(message.digest, digest, sizeof message.digest);
    return message;
}

/* A signed command's two processes, as they are meant and otherwise. */
static void run_command(void)
{
    char key[16] = "";
    struct monitor_message message = runner_of(3, 1, 2, 0xcd);
    send_bytes(&message, sizeof message);
    expect_refused(3, 1, MONITOR_REASON_PROFILE);
    message = runner_of(3, 2, 1, 0xab);
    int runner = start_one(&message), runner_log = dup(worker_log);
    message = (struct monitor_message){
        .op = MONITOR_START, .slot = 35, .generation = 1, .kind = "cmd-diagnostic"};
    await_worker(start_one(&message));
    dup2(runner_log, worker_log);
    await_worker(runner);
    memcpy(key, strstr(line, "key "), 12);
    send_op(MONITOR_START, 0, 1, "idle");
    int vault = expect(MONITOR_STARTED).pid;
    send_op(MONITOR_RELEASE, 0, 1, "");
    await_worker(vault);
    await_worker(vault);
    say(strstr(line, key) && strstr(line, "vault 0-0 of profile 0,") ? "the same key" : "another");
    send_op(MONITOR_START, 36, 1, "cmd-diagnostic"); /* above nobody's runner */
    expect_refused(36, 1, MONITOR_REASON_NO_RUNNER);
    say("a second command: refused");
    send_op(MONITOR_KILL, 3, 2, "");
    if (expect(MONITOR_EXITED).slot != 3 || expect(MONITOR_EXITED).slot != 35)
        fail("the command did not end with its runner");
    say("both ended");
    message = runner_of(3, 3, 1, 0xab);
    (void)start_one(&message);
    send_op(MONITOR_START, 36, 2, "cmd-diagnostic");
    expect_refused(36, 2, MONITOR_REASON_NO_RUNNER);
    say("another runner's command: refused");
}

static void start_flood(void)
{
    for (uint32_t i = 1; i <= MONITOR_START_BURST; i++) {
        send_op(MONITOR_START, 2, i, "idle");
        (void)expect(MONITOR_STARTED);
        send_op(MONITOR_KILL, 2, i, "");
        (void)expect(MONITOR_EXITED);
    }
    for (uint32_t i = 1; i <= 3; i++) {
        send_op(MONITOR_START, 2, MONITOR_START_BURST + i, "idle");
        struct monitor_message message = next();
        if (message.op == MONITOR_REFUSED && message.reason == MONITOR_REASON_RATE) {
            say("rationed");
            return;
        }
        send_op(MONITOR_KILL, 2, MONITOR_START_BURST + i, "");
        (void)expect(MONITOR_EXITED);
    }
    fail("a flood of starts was served");
}

/* Each breaks the protocol; the monitor is to kill us, so coming back is the failure. */
static void misbehave(const char *how)
{
    struct monitor_message message = {.op = MONITOR_KILL, .slot = 1, .generation = 1};
    char bytes[256] = {MONITOR_START};
    start_idle(3, 1);
    if (strcmp(how, "/short") == 0) {
        send_bytes(bytes, 63);
    } else if (strcmp(how, "/long") == 0) {
        send_bytes(bytes, 65);
    } else if (strcmp(how, "/huge") == 0) {
        send_bytes(bytes, sizeof bytes);
    } else if (strcmp(how, "/empty") == 0) {
        send_bytes(bytes, 0);
    } else if (strcmp(how, "/op") == 0) {
        send_op(MONITOR_STARTED, 0, 1, "idle");
    } else if (strcmp(how, "/slot") == 0) {
        send_op(MONITOR_START, MONITOR_SLOTS, 1, "idle");
    } else if (strcmp(how, "/others") == 0) {
        send_bytes(&message, sizeof message);
    } else if (strcmp(how, "/pid") == 0) {
        message =
            (struct monitor_message){.op = MONITOR_KILL, .slot = 3, .generation = 1, .pid = 1};
        send_bytes(&message, sizeof message);
    } else if (strcmp(how, "/taken") == 0) {
        send_op(MONITOR_START, 3, 2, "idle");
    } else if (strcmp(how, "/again") == 0) {
        send_op(MONITOR_RELEASE, 3, 1, "");
    } else if (strcmp(how, "/flood") == 0) {
        for (uint32_t i = 1; i < 100000; i++) {
            send_op(MONITOR_KILL, 3, 0, "");
        }
    } else if (strcmp(how, "/deaf") == 0) {
        for (uint32_t i = 1; i < 100000; i++) {
            send_op(MONITOR_START, 4, i, "nonsense");
        }
    } else if (strcmp(how, "/close") == 0) {
        close(MONITOR_FD_SOCKET);
    } else if (strcmp(how, "/exit") == 0) {
        exit(3);
    } else {
        fail("%s is not a scenario", how);
    }
    sleep(30);
    fail("survived %s", how);
}

static void read_config(void)
{
    if (pread(MONITOR_FD_CONFIG, &config, sizeof config, 0) != sizeof config ||
        config.magic != AGENT_CONFIG_MAGIC || config.size != sizeof config) {
        fail("no configuration");
    }
    int seals = fcntl(MONITOR_FD_CONFIG, F_GET_SEALS);
    if (seals != (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) ||
        pwrite(MONITOR_FD_CONFIG, "x", 1, 0) >= 0 || ftruncate(MONITOR_FD_CONFIG, 1) == 0) {
        fail("the configuration is not sealed: %x", (unsigned)seals);
    }
}

int main(void)
{
    unsigned open = 0;
    read_config();
    for (int fd = 0; fd < 1024; fd++) {
        open |= fcntl(fd, F_GETFD) >= 0 ? 1U << (fd < 31 ? fd : 31) : 0;
    }
    say("broker %d: uid %u, sid %d, descriptors %x, scenario %s", getpid(), getuid(), getsid(0),
        open, config.console.path);
    say("board %u %s, disk %u %s", config.hardware.board.state, config.hardware.board.value,
        config.hardware.disk.state, config.hardware.disk.value);
    for (uint32_t i = 0; i < config.kind_count; i++)
        say("kind %s: %u instances, first %u", config.kinds[i].name, config.kinds[i].instances,
            config.kinds[i].uid);
    say("terminal \x1b[2J %s", config.runtime_dir);
    if (strcmp(config.console.path, "/good") == 0) {
        good();
    } else if (strcmp(config.console.path, "/starts") == 0) {
        start_flood();
    } else if (strcmp(config.console.path, "/accounts") == 0) {
        send_op(MONITOR_START, 0, 1, "xidle");
        expect_refused(0, 1, MONITOR_REASON_NO_SESSION);
        send_op(MONITOR_START, 0, 2, "idle");
        expect_refused(0, 2, MONITOR_REASON_NO_USER);
    } else if (strcmp(config.console.path, "/command") == 0) {
        run_command();
    } else if (strcmp(config.console.path, "/session") == 0) {
        follow_session();
    } else if (strcmp(config.console.path, "/stubborn") == 0) {
        start_idle(0, 1);
    } else {
        misbehave(config.console.path);
    }
    send_op(MONITOR_READY, 0, 0, "");
    say("serving");
    struct monitor_message message = expect(MONITOR_STOP);
    say("told to stop in %d ms", message.value);
    if (strcmp(config.console.path, "/stubborn") == 0) {
        sleep(30);
    }
    return 0;
}

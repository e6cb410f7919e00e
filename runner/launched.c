#include "launched.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "identity.h"
#include "launch.h"
#include "monitor_protocol.h"
#include "policy.h"
#include "staged.h"

#define DEADLINE_MS 20000
#define RUNNER_UID  64210
#define COMMAND_UID 64211

extern const struct policy *const cloister_policies[];

static const struct policy *policy_of(const char *kind)
{
    size_t i = 0;
    while (cloister_policies[i] && strcmp(cloister_policies[i]->kind, kind) != 0)
        i++;
    assert_non_null(cloister_policies[i]);
    return cloister_policies[i];
}

/* ---------------------------------------------------------------- in the child */

static void need(int good)
{
    if (!good)
        _exit(120);
}

#define PLACES 6

/* Puts life, null, log, two descriptors of the policy (-1: none) and the launcher's link. */
static void place(const int from[PLACES])
{
    static const int to[PLACES] = {0, 1, 2, 3, 4, LAUNCH_FD_LINK};
    for (int i = 0; i < PLACES; i++)
        need(from[i] < 0 || fcntl(from[i], F_DUPFD, 200 + i) == 200 + i);
    need(close_range(3, 199, 0) == 0);
    for (int i = 0; i < PLACES; i++)
        need(from[i] < 0 || dup2(200 + i, to[i]) == to[i]);
    need(close_range(LAUNCH_FD_LINK + 1, ~0U, 0) == 0);
}

static void exec_launcher(void)
{
    char name[] = "cloister-launch", *arguments[] = {name, NULL};
    execve(LAUNCHED_PROGRAMS "/cloister-launch", arguments, arguments + 1);
    _exit(121);
}

/* ---------------------------------------------------------------- starting */

static void show_log(const char *kind, int log)
{
    char text[4096];
    fcntl(log, F_SETFL, O_NONBLOCK);
    ssize_t n = read(log, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    print_error("the log of %s: %s\n", kind, text);
}

static const char *folder_of(const struct launched_pair *pair, const struct policy *policy)
{
    if (policy->identity == POLICY_ROOT)
        return LAUNCHED_ADMIN;
    return pair->programs && !policy->command ? pair->programs : LAUNCHED_PROGRAMS;
}

static void send_launch_order(const struct launched_pair *pair, const struct policy *policy,
                              uint32_t uid, int link)
{
    struct launch_order order = {.uid = uid, .gid = uid};
    const size_t size = sizeof order.paths[0];
    char *program = order.paths[POLICY_BASE_PROGRAM];
    snprintf(order.kind, sizeof order.kind, "%s", policy->kind);
    assert_int_equal(namespaces_read(&order.monitors), 0);
    snprintf(order.root, sizeof order.root, "%s/root", pair->home);
    snprintf(order.paths[POLICY_BASE_CHANNEL], size, "%s/channel", pair->home);
    snprintf(program, size, "%s/%s", folder_of(pair, policy), policy->program);
    if (policy->host_root) /* there the process's own account has to reach it */
        snprintf(program, size, "%s", staged(program));
    assert_int_equal(send(link, &order, sizeof order, 0), sizeof order);
}

static void check_launched(struct launched *process, int link)
{
    struct launch_failure failure;
    ssize_t n = read(link, &failure, sizeof failure);
    close(link);
    if (n == 0)
        return;
    show_log(process->kind, process->log);
    fail_msg("the launcher failed at stage %s: %s", failure.stage, strerror(failure.error));
}

/* Starts a process with one or two descriptors of its policy; the second may be -1. */
static void spawn(struct launched_pair *pair, struct launched *process, const char *kind,
                  uint32_t uid, int first, int second)
{
    const struct policy *policy = policy_of(kind);
    int life[2], log[2], link[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_true(pipe2(life, O_CLOEXEC) == 0 && pipe2(log, O_CLOEXEC) == 0 && null >= 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link), 0);
    struct clone_args args = {.flags = policy->namespaces, .exit_signal = SIGCHLD};
    process->kind = kind;
    process->pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    assert_true(process->pid >= 0);
    if (process->pid == 0) {
        place((int[]){life[0], null, log[1], first, second, link[1]});
        exec_launcher();
    }
    close(life[0]);
    close(log[1]);
    close(link[1]);
    close(null);
    process->life = life[1];
    process->log = log[0];
    if (process == &pair->runner)
        channel_expect(pair->channel, process->pid, uid);
    send_launch_order(pair, policy, uid, link[0]);
    check_launched(process, link[0]);
}

uid_t launched_person(void)
{
    const struct passwd *entry;
    setpwent();
    while ((entry = getpwent()) && !identity_fits(POLICY_SESSION, entry->pw_uid, entry->pw_gid))
        ;
    endpwent();
    return entry ? entry->pw_uid : 0;
}

void launched_command(struct launched_pair *pair)
{
    static const char *const kinds[] = {"", "cmd-diagnostic", "cmd-user", "cmd-admin"};
    uint32_t uid = pair->grant.profile == MONITOR_PROFILE_DIAGNOSTIC ? COMMAND_UID
                   : pair->grant.profile == MONITOR_PROFILE_USER     ? launched_person()
                                                                     : 0;
    spawn(pair, &pair->command, kinds[pair->grant.profile], uid, pair->link[1], -1);
    close(pair->link[1]);
    pair->link[1] = -1;
}

static int sealed(const struct grant *grant)
{
    int fd = memfd_create("grant", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, grant, sizeof *grant), sizeof *grant);
    assert_int_equal(
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
    return fd;
}

static void welcome(struct launched_pair *pair)
{
    static ipc_Welcome answer;
    struct message hello;
    launched_receive(pair, &hello);
    assert_int_equal(hello.envelope.number, IPC_HELLO);
    answer.which_config = ipc_Welcome_runner_tag;
    answer.config.runner.number = LAUNCHED_NUMBER;
    launched_say(pair, IPC_WELCOME, hello.envelope.request, &answer, NULL, 0);
    message_free(&hello);
}

void launched_runner(struct launched_pair *pair)
{
    char socket[128];
    struct message message;
    ipc_Ready ready;
    pair->wake = eventfd(0, EFD_CLOEXEC);
    snprintf(socket, sizeof socket, "%s/channel", pair->home);
    assert_int_equal(channel_listen(&pair->channel, socket, IPC_PEER_RUNNER, pair->wake), 0);
    int grant = sealed(&pair->grant);
    spawn(pair, &pair->runner, "runner", RUNNER_UID, grant, pair->link[0]);
    close(grant);
    close(pair->link[0]);
    pair->link[0] = -1;
    welcome(pair);
    launched_receive(pair, &message);
    assert_int_equal(message.envelope.number, IPC_READY);
    assert_int_equal(envelope_decode(&message.envelope, &ready), ENVELOPE_OK);
    pair->lock = ready.lock;
    message_free(&message);
}

/* ---------------------------------------------------------------- preparing */

static void make_root(const struct launched_pair *pair)
{
    char path[128];
    snprintf(path, sizeof path, "%s/root", pair->home);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void make_grant(struct launched_pair *pair, struct order *order)
{
    order->slot = 1;
    order->generation = 2;
    pair->order_length = order_write(pair->order, sizeof pair->order, order);
    assert_true(pair->order_length > 0);
    pair->grant =
        (struct grant){GRANT_MAGIC, order->slot, order->generation, order->profile, {0}, {0}, {{0}}};
    randombytes_buf(pair->grant.key, sizeof pair->grant.key);
    order_digest(pair->grant.digest, order);
}

void launched_prepare(struct launched_pair *pair, struct order *order)
{
    memset(pair, 0, sizeof *pair);
    strcpy(pair->home, "/tmp/runner_test.XXXXXX");
    assert_non_null(mkdtemp(pair->home));
    make_root(pair);
    make_grant(pair, order);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair->link), 0);
}

static void end_process(struct launched *process)
{
    if (process->pid == 0)
        return;
    kill(process->pid, SIGKILL);
    launched_wait(process);
}

void launched_remove(struct launched_pair *pair)
{
    char command[128];
    if (pair->home[0] == '\0')
        return;
    end_process(&pair->runner);
    end_process(&pair->command);
    pair->channel = channel_free(pair->channel);
    for (int i = 0; i < 2; i++)
        if (pair->link[i] >= 0)
            close(pair->link[i]);
    close(pair->wake);
    snprintf(command, sizeof command, "rm -r %s", pair->home);
    assert_int_equal(system(command), 0);
    pair->home[0] = '\0';
}

/* ---------------------------------------------------------------- talking */

bool launched_try(struct launched_pair *pair, struct message *message, int wait_ms)
{
    enum envelope_outcome why;
    struct pollfd ready = {.fd = channel_fd(pair->channel), .events = POLLIN};
    return poll(&ready, 1, wait_ms) == 1 &&
           channel_receive(pair->channel, message, &why) == CHANNEL_OK;
}

void launched_receive(struct launched_pair *pair, struct message *message)
{
    if (launched_try(pair, message, DEADLINE_MS))
        return;
    show_log("runner", pair->runner.log);
    if (pair->command.kind)
        show_log(pair->command.kind, pair->command.log);
    fail_msg("the runner says nothing");
}

void launched_say(struct launched_pair *pair, uint16_t number, uint32_t request, const void *body,
                  const void *blob, size_t blob_length)
{
    if (request == 0)
        request = ++pair->request;
    assert_int_equal(channel_send(pair->channel, number, request, body, blob, blob_length),
                     CHANNEL_OK);
}

void launched_refuse(struct launched_pair *pair, const struct message *request,
                     ipc_RefusalReason reason)
{
    ipc_Refused refused = {.reason = reason};
    launched_say(pair, IPC_REFUSED, request->envelope.request, &refused, NULL, 0);
}

void launched_answer_fetch(struct launched_pair *pair, const struct message *fetch)
{
    ipc_CommandFetch body;
    ipc_CommandOrder answer;
    assert_int_equal(fetch->envelope.number, IPC_COMMAND_FETCH);
    assert_int_equal(envelope_decode(&fetch->envelope, &body), ENVELOPE_OK);
    assert_int_equal(body.number, LAUNCHED_NUMBER);
    assert_int_equal(body.slot, pair->grant.slot);
    assert_int_equal(body.generation, pair->grant.generation);
    order_tag(answer.tag, pair->order, pair->order_length, pair->grant.key);
    launched_say(pair, IPC_COMMAND_ORDER, fetch->envelope.request, &answer, pair->order,
                 pair->order_length);
}

int launched_wait(struct launched *process)
{
    int status, waited = 0;
    while (waitpid(process->pid, &status, WNOHANG) == 0) {
        if (waited++ == DEADLINE_MS) {
            show_log(process->kind, process->log);
            kill(process->pid, SIGKILL);
            fail_msg("%s does not end", process->kind);
        }
        usleep(1000);
    }
    process->pid = 0;
    close(process->life);
    close(process->log);
    return status;
}

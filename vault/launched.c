#include "launched.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
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

#include "launch.h"
#include "policy.h"

#define DEADLINE_MS 10000

extern const struct policy vault_policy;

/* ---------------------------------------------------------------- folders */

static void make_folder(const struct launched *vault, const char *name, uid_t owner)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", vault->home, name);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chown(path, owner, owner), 0);
}

void launched_prepare(struct launched *vault)
{
    memset(vault, 0, sizeof *vault);
    strcpy(vault->home, "/tmp/vault_main_test.XXXXXX");
    snprintf(vault->program, sizeof vault->program, LAUNCHED_PROGRAMS "/%s", vault_policy.program);
    memset(vault->order_key, 0x5a, sizeof vault->order_key);
    assert_non_null(mkdtemp(vault->home));
    make_folder(vault, "root", 0);
    make_folder(vault, "state", LAUNCHED_UID);
}

void launched_remove(struct launched *vault)
{
    char command[128];
    if (vault->pid)
        launched_kill(vault);
    snprintf(command, sizeof command, "rm -r %s", vault->home);
    assert_int_equal(system(command), 0);
}

void launched_stamp(struct launched *vault, const struct command_keys *table)
{
    char path[128], command[1024];
    snprintf(path, sizeof path, "%s/keys", vault->home);
    FILE *file = fopen(path, "wb");
    assert_true(file && fwrite(table, sizeof *table, 1, file) == 1 && fclose(file) == 0);
    snprintf(command, sizeof command,
             "objcopy --update-section " COMMAND_KEYS_SECTION "=%s %s %s/stamped && "
             "chmod 755 %s %s/stamped",
             path, vault->program, vault->home, vault->home, vault->home);
    assert_int_equal(system(command), 0);
    snprintf(vault->program, sizeof vault->program, "%s/stamped", vault->home);
}

/* ---------------------------------------------------------------- in the child */

static void need(int good)
{
    if (!good)
        _exit(120);
}

static void place(const int from[5])
{
    static const int to[5] = {0, 1, 2, LAUNCH_FD_FIRST, LAUNCH_FD_LINK};
    for (int i = 0; i < 5; i++)
        need(fcntl(from[i], F_DUPFD, 200 + i) == 200 + i);
    for (int i = 0; i < 5; i++)
        need(dup2(200 + i, to[i]) == to[i]);
    need(close_range(LAUNCH_FD_FIRST + 1, LAUNCH_FD_LINK - 1, 0) == 0);
    need(close_range(LAUNCH_FD_LINK + 1, ~0U, 0) == 0);
}

static void exec_launcher(void)
{
    char name[] = "cloister-launch", *arguments[] = {name, NULL};
    execve(LAUNCHED_PROGRAMS "/cloister-launch", arguments, arguments + 1);
    _exit(121);
}

/* ---------------------------------------------------------------- starting */

static void show_log(const struct launched *vault)
{
    char text[2048];
    fcntl(vault->log, F_SETFL, O_NONBLOCK);
    ssize_t n = read(vault->log, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    print_error("the vault's log: %s\n", text);
}

static void send_order(const struct launched *vault, int link, const char *socket)
{
    struct launch_order order = {.kind = "vault", .uid = LAUNCHED_UID, .gid = LAUNCHED_UID};
    const size_t size = sizeof order.paths[0];
    assert_int_equal(namespaces_read(&order.monitors), 0);
    snprintf(order.root, sizeof order.root, "%s/root", vault->home);
    snprintf(order.paths[POLICY_BASE_CHANNEL], size, "%s", socket);
    snprintf(order.paths[POLICY_BASE_STATE], size, "%s/state", vault->home);
    snprintf(order.paths[POLICY_BASE_PROGRAM], size, "%s", vault->program);
    assert_int_equal(send(link, &order, sizeof order, 0), sizeof order);
}

/* As the monitor seals it. */
static int seal_grant(const struct launched *vault)
{
    struct grant grant = {.magic = GRANT_MAGIC, .groups = {"desks"}};
    memcpy(grant.key, vault->order_key, sizeof grant.key);
    int fd = memfd_create("grant", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, &grant, sizeof grant), sizeof grant);
    assert_int_equal(
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
    return fd;
}

static void spawn(struct launched *vault, const char *socket)
{
    int grant = seal_grant(vault);
    int life[2], log[2], link[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_true(pipe2(life, O_CLOEXEC) == 0 && pipe2(log, O_CLOEXEC) == 0 && null >= 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link), 0);
    assert_true(fcntl(log[0], F_SETPIPE_SZ, 1 << 20) > 0); /* nobody reads it unless a test fails */
    struct clone_args args = {.flags = vault_policy.namespaces, .exit_signal = SIGCHLD};
    vault->pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    assert_true(vault->pid >= 0);
    if (vault->pid == 0) {
        place((int[]){life[0], null, log[1], grant, link[1]});
        exec_launcher();
    }
    close(life[0]);
    close(log[1]);
    close(link[1]);
    close(null);
    close(grant);
    channel_expect(vault->channel, vault->pid, LAUNCHED_UID); /* before it goes on */
    send_order(vault, link[0], socket);
    vault->life = life[1];
    vault->log = log[0];
    struct launch_failure failure;
    ssize_t n = read(link[0], &failure, sizeof failure);
    close(link[0]);
    if (n != 0)
        fail_msg("the launcher failed at stage %s: %s", failure.stage, strerror(failure.error));
}

static void receive(struct launched *vault, struct message *message)
{
    enum envelope_outcome why;
    struct pollfd ready = {.fd = channel_fd(vault->channel), .events = POLLIN};
    if (poll(&ready, 1, DEADLINE_MS) != 1) {
        show_log(vault);
        fail_msg("the vault says nothing");
    }
    assert_int_equal(channel_receive(vault->channel, message, &why), CHANNEL_OK);
}

static void welcome(struct launched *vault, const char *disk)
{
    static ipc_Welcome answer;
    struct message hello;
    memset(&answer, 0, sizeof answer);
    receive(vault, &hello);
    assert_int_equal(hello.envelope.number, IPC_HELLO);
    answer.which_config = ipc_Welcome_vault_tag;
    ipc_VaultConfig *config = &answer.config.vault;
    config->has_disk = config->has_board = true;
    config->disk.state = disk ? ipc_IDENTIFIER_PRESENT : ipc_IDENTIFIER_UNREADABLE;
    snprintf(config->disk.value, sizeof config->disk.value, "%s", disk ? disk : "");
    config->board.state = ipc_IDENTIFIER_ABSENT;
    snprintf(config->console_host, sizeof config->console_host, "%s", LAUNCHED_CONSOLE);
    assert_int_equal(
        channel_send(vault->channel, IPC_WELCOME, hello.envelope.request, &answer, NULL, 0),
        CHANNEL_OK);
    message_free(&hello);
}

void launched_start(struct launched *vault, const char *disk)
{
    static unsigned started;
    char socket[128];
    struct message message;
    ipc_Ready ready;
    vault->event_count = 0;
    vault->wanted = false;
    vault->request = 0;
    vault->wake = eventfd(0, EFD_CLOEXEC);
    snprintf(socket, sizeof socket, "%s/c%u", vault->home, started++);
    assert_int_equal(channel_listen(&vault->channel, socket, IPC_PEER_VAULT, vault->wake), 0);
    spawn(vault, socket);
    welcome(vault, disk);
    receive(vault, &message);
    assert_int_equal(message.envelope.number, IPC_READY);
    assert_int_equal(envelope_decode(&message.envelope, &ready), ENVELOPE_OK);
    vault->lock = ready.lock;
    message_free(&message);
}

/* ---------------------------------------------------------------- ending */

static int wait_for(struct launched *vault)
{
    int status;
    for (int waited = 0; waitpid(vault->pid, &status, WNOHANG) == 0; waited++) {
        if (waited == DEADLINE_MS)
            kill(vault->pid, SIGKILL);
        usleep(1000);
    }
    vault->pid = 0;
    channel_free(vault->channel);
    close(vault->log);
    close(vault->wake);
    return status;
}

void launched_stop(struct launched *vault)
{
    close(vault->life);
    int status = wait_for(vault);
    if (!WIFEXITED(status))
        print_error("status %x\n", status);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

void launched_kill(struct launched *vault)
{
    kill(vault->pid, SIGKILL);
    wait_for(vault);
    close(vault->life);
}

/* ---------------------------------------------------------------- asking */

static void keep_event(struct launched *vault, const struct message *message)
{
    assert_true(vault->event_count < LAUNCHED_EVENTS);
    ipc_VaultEvent *event = &vault->events[vault->event_count++];
    assert_int_equal(envelope_decode(&message->envelope, event), ENVELOPE_OK);
}

static void keep_wanted(struct launched *vault, const struct message *message)
{
    assert_false(vault->wanted);
    assert_int_equal(envelope_decode(&message->envelope, &vault->runner), ENVELOPE_OK);
    vault->wanted = true;
}

/* What the vault says by itself is kept, until the answer comes. */
static void receive_answer(struct launched *vault, struct message *message)
{
    for (;;) {
        receive(vault, message);
        if (message->envelope.number == IPC_VAULT_EVENT)
            keep_event(vault, message);
        else if (message->envelope.number == IPC_RUNNER_WANTED)
            keep_wanted(vault, message);
        else
            return;
        message_free(message);
    }
}

uint16_t launched_ask_with(struct launched *vault, uint16_t number, uint32_t uid,
                           const void *request, const void *blob, size_t blob_length, void *answer,
                           ipc_Refused *refused)
{
    struct message message;
    assert_int_equal(channel_send_stamped(vault->channel, number, ++vault->request, 0, uid, request,
                                          blob, blob_length),
                     CHANNEL_OK);
    receive_answer(vault, &message);
    uint16_t type = message.envelope.number;
    assert_int_equal(message.envelope.request, vault->request);
    assert_int_equal(
        envelope_decode(&message.envelope, type == IPC_REFUSED ? (void *)refused : answer),
        ENVELOPE_OK);
    vault->blob_length = message.envelope.blob_length;
    memcpy(vault->blob, message.envelope.blob, vault->blob_length);
    message_free(&message);
    return type;
}

uint16_t launched_ask(struct launched *vault, uint16_t number, uint32_t uid, const void *request,
                      void *answer, ipc_Refused *refused)
{
    return launched_ask_with(vault, number, uid, request, NULL, 0, answer, refused);
}

void launched_tell(struct launched *vault, uint16_t number, const void *body)
{
    assert_int_equal(channel_send(vault->channel, number, 0, body, NULL, 0), CHANNEL_OK);
}

/*
 * cloister-command, and cloister-command-admin: the process that holds a signed command.
 *
 * It is process 1 of the command's own pid namespace, in the sandbox of the command's profile, and
 * says hello to its runner (link.h). It takes the order, closes the profile's filter over itself,
 * starts the command with nothing but three pipe ends, reaps, and sends signals when the runner
 * says so. When the command ends it kills all else in the namespace, tells the runner, and ends.
 * Should it end in any other way, the kernel kills the whole namespace with it.
 *
 * It links libc alone and has one thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "closing.h"
#include "command.h"
#include "exit_code.h"
#include "link.h"
#include "log.h"
#include "order_layout.h"

#define LIFE_FD   0 /* its end: the monitor is gone */
#define RUNNER_FD 3 /* the policy's descriptor "runner" */

struct command {
    pid_t child;
    int report;  /* errno of a failed exec; -1: closed, it is known how that went */
    int signals; /* SIGCHLD */
    bool executed;
};

static __attribute__((noreturn)) void give_up(enum worker_exit code, const char *what, int error)
{
    log_error("%s: %s", what, strerror(error < 0 ? -error : error));
    _exit(code);
}

/* ---------------------------------------------------------------- before the command */

/*
 * Nobody of its account may look into it, which also keeps it from dumping core, and only as
 * process 1 may it signal "everybody". The limit of core files is its policy's, for the command.
 */
static void begin(void)
{
    int signal_number = 0;
    if (prctl(PR_SET_DUMPABLE, 0) != 0 || prctl(PR_GET_PDEATHSIG, &signal_number) != 0)
        give_up(WORKER_EXIT_SANDBOX, "cannot begin", errno);
    if (getpid() != 1 || signal_number != SIGKILL)
        give_up(WORKER_EXIT_SANDBOX, "not started by the monitor", EPERM);
}

static int watch_children(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    int fd = sigprocmask(SIG_BLOCK, &set, NULL) == 0
                 ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)
                 : -1;
    if (fd < 0)
        give_up(WORKER_EXIT_FAILED, "signalfd", errno);
    return fd;
}

/* The order, and what goes with it into the child. */
static void take_order(struct child *out, uint32_t profile)
{
    static uint8_t bytes[ORDER_MAX];
    static struct order order;
    uint32_t length = 0;
    int error = link_receive_order(RUNNER_FD, &length, out->descriptors);
    if (!error && length > sizeof bytes)
        error = -EPROTO;
    if (!error)
        error = link_receive_bytes(RUNNER_FD, bytes, length);
    if (error)
        give_up(WORKER_EXIT_PROTOCOL, "no order", error);
    if (order_parse(&order, bytes, length) != ORDER_OK || order.profile != profile)
        give_up(WORKER_EXIT_PROTOCOL, "the order is not for this process", EPROTO);
    out->order = &order;
    out->script = -1;
    if (order.script_length > 0) {
        out->script = child_script(&order);
        if (out->script < 0)
            give_up(WORKER_EXIT_FAILED, "the script cannot be kept", out->script);
    }
}

static void start(struct command *command, struct child *child)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0)
        give_up(WORKER_EXIT_FAILED, "pipe", errno);
    child->report = report[1];
    command->report = report[0];
    command->child = fork();
    if (command->child == 0)
        child_run(child);
    if (command->child < 0) /* as the child says it of the exec */
        link_send(RUNNER_FD, LINK_NOT_STARTED, (uint32_t)errno, 0);
    if (command->child < 0)
        _exit(WORKER_EXIT_DONE);
    close(report[1]);
    for (int i = 0; i < LINK_DESCRIPTORS; i++)
        close(child->descriptors[i]);
    if (child->script >= 0)
        close(child->script);
}

/* ---------------------------------------------------------------- while it runs */

/* All processes of the namespace but this one; there may be none left. */
static void signal_all(int number)
{
    kill(-1, number);
}

/* After SIGKILL to all, until there is no other process. */
static void reap_all(void)
{
    signal_all(SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
}

/* Whether the program was executed is known when the pipe ends. */
static void read_report(struct command *command)
{
    int error = 0;
    ssize_t n = read(command->report, &error, sizeof error);
    if (n < 0 && errno == EINTR)
        return;
    close(command->report);
    command->report = -1;
    command->executed = n != sizeof error;
    if (command->executed) {
        link_send(RUNNER_FD, LINK_STARTED, 0, 0);
        return;
    }
    reap_all();
    link_send(RUNNER_FD, LINK_NOT_STARTED, (uint32_t)error, 0);
    _exit(WORKER_EXIT_DONE);
}

static __attribute__((noreturn)) void ended(struct command *command, int status)
{
    while (command->report >= 0)
        read_report(command);
    reap_all();
    if (WIFSIGNALED(status))
        link_send(RUNNER_FD, LINK_ENDED, LINK_SIGNALLED, (uint32_t)WTERMSIG(status));
    else
        link_send(RUNNER_FD, LINK_ENDED, LINK_EXITED, (uint32_t)WEXITSTATUS(status));
    _exit(WORKER_EXIT_DONE);
}

static void reap(struct command *command)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;
    while (read(command->signals, &info, sizeof info) > 0)
        ;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == command->child)
            ended(command, status);
}

static void obey(void)
{
    struct link_message message;
    int error = link_receive(RUNNER_FD, &message);
    if (error == -EPIPE)
        _exit(WORKER_EXIT_DONE); /* and the kernel ends all others */
    if (!error && message.word == LINK_TERMINATE)
        signal_all(SIGTERM);
    else if (!error && message.word == LINK_KILL)
        signal_all(SIGKILL);
    else
        give_up(WORKER_EXIT_PROTOCOL, "the runner says what it may not", EPROTO);
}

static __attribute__((noreturn)) void hold(struct command *command)
{
    for (;;) {
        struct pollfd fds[] = {
            {.fd = LIFE_FD},
            {.fd = RUNNER_FD, .events = POLLIN},
            {.fd = command->report, .events = POLLIN}, /* ignored when it is -1 */
            {.fd = command->signals, .events = POLLIN},
        };
        if (poll(fds, 4, -1) < 0 && errno != EINTR)
            give_up(WORKER_EXIT_FAILED, "poll", errno);
        if (fds[0].revents)
            _exit(WORKER_EXIT_DONE);
        if (fds[2].revents)
            read_report(command);
        if (fds[3].revents)
            reap(command);
        if (fds[1].revents)
            obey();
    }
}

/* The launcher has named the kind of policy that it applied. */
int main(int argc, char **argv)
{
    static struct command command;
    static struct child child;
    log_setup("command", 1);
    begin();
    const struct closing *closing = argc == 2 ? closing_of(argv[1]) : NULL;
    if (!closing)
        give_up(WORKER_EXIT_SANDBOX, "no such kind of command", EINVAL);
    command.signals = watch_children();
    int error = link_send(RUNNER_FD, LINK_HELLO, 0, 0);
    if (error)
        give_up(WORKER_EXIT_FAILED, "hello", error);
    take_order(&child, closing->profile);
    error = sandbox_command(closing->filter);
    if (error)
        give_up(WORKER_EXIT_SANDBOX, "the filter cannot be closed", error);
    start(&command, &child);
    hold(&command);
}

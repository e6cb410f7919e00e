#include "status.h"

#include <errno.h>
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "commands.h"
#include "moment.h"
#include "policy.h"

#define LOOKS         3 /* a worker may end between the agent's answer and the look at /proc */
#define LOOK_AGAIN_MS 200

static const char help[] =
    "usage: cloister status [--json] [--runtime DIR]\n"
    "\n"
    "Shows whether the console is connected or why not, what captures, how signed commands stand,\n"
    "every worker with its lock, and how often something was refused. Root also sees what the "
    "kernel says of each process "
    "right\n"
    "now, compared with what the worker reported and what its policy demands.\n"
    "\n"
    "exit status: 0 all serve, 9 something is down, 10 the kernel contradicts a report, 7 the "
    "agent\n"
    "is not running; 'cloister --help' lists all.\n";

/* ---- what the kernel says ---- */

static void note(void *context, const char *sentence)
{
    struct status_proof *proof = context;
    if (proof->findings < STATUS_FINDINGS_MAX)
        snprintf(proof->finding[proof->findings++], STATUS_FINDING_BYTES, "%s", sentence);
}

/* The namespaces that the policy of this kind gives an instance, CLONE_NEW*. */
static uint64_t namespaces_of(const char *kind)
{
    for (size_t i = 0; cloister_policies[i]; i++)
        if (strcmp(cloister_policies[i]->kind, kind) == 0)
            return cloister_policies[i]->namespaces |
                   (cloister_policies[i]->new_cgroup ? CLONE_NEWCGROUP : 0u);
    return 0;
}

static void prove(struct status_proof *proof, pid_t pid, const struct proc_expectation *expected)
{
    *proof = (struct status_proof){0};
    int error = proc_read(&proof->view, "/proc", pid);
    proof->missing = error == -ENOENT;
    proof->looked = error == 0;
    if (proof->looked)
        proc_compare(&proof->view, expected, note, proof);
    else if (proof->missing)
        note(proof, "it is reported to serve, but there is no such process");
    else
        note(proof, "what /proc says of it cannot be read");
}

static void prove_worker(struct status_proof *proof, const ipc_WorkerStatus *worker)
{
    const ipc_LockReport *lock = &worker->lock;
    struct proc_expectation expected = {
        .uid = worker->uid,
        .seccomp = lock->seccomp_mode,
        .no_new_privs = lock->no_new_privs,
        .cap_eff = lock->cap_eff,
        .own = namespaces_of(worker->name),
    };
    prove(proof, (pid_t)worker->pid, &expected);
}

/* Looks at all serving processes. Returns whether one that is reported to serve is missing. */
static bool prove_all(struct status *status, const struct ucred *broker)
{
    struct proc_expectation expected = {
        .uid = broker->uid, .seccomp = 2, .no_new_privs = true, .own = namespaces_of("broker")};
    bool missing = false;
    prove(&status->broker, broker->pid, &expected);
    for (size_t i = 0; i < status->reply.workers_count; i++) {
        status->workers[i] = (struct status_proof){0};
        if (status->reply.workers[i].state == ipc_WORKER_SERVING)
            prove_worker(&status->workers[i], &status->reply.workers[i]);
        missing |= status->workers[i].missing;
    }
    return missing;
}

/* The broker's pid and uid: whoever listens at the door. */
static bool find_broker(struct ucred *out, const struct door *door)
{
    socklen_t length = sizeof(*out);
    return getsockopt(door->fd, SOL_SOCKET, SO_PEERCRED, out, &length) == 0 &&
           length == sizeof(*out) && out->pid > 0;
}

static int ask(struct status *status, struct door *door)
{
    ipc_Status request = {0};
    return command_ask(door, "status", IPC_STATUS, &request, IPC_STATUS_REPLY, &status->reply,
                       NULL);
}

/* What the vault says of commands; it may be down. */
static int ask_commands(struct status *status, struct door *door)
{
    ipc_Refused refused;
    int result = commands_ask(door, &status->commands, &refused);
    status->has_commands = result == PROGRAM_EXIT_OK;
    return result == PROGRAM_EXIT_REFUSED ? PROGRAM_EXIT_OK : result;
}

static int gather(struct status *status, struct door *door)
{
    struct ucred broker;
    int result = ask(status, door);
    if (result == PROGRAM_EXIT_OK)
        result = ask_commands(status, door);
    if (result != PROGRAM_EXIT_OK)
        return result;
    if (geteuid() != 0)
        status->unproved = "only root sees what the kernel says of the workers";
    else if (!find_broker(&broker, door) || !proc_parent_shares_pids("/proc", broker.pid))
        status->unproved = "the agent runs in another pid namespace, so /proc here is not its own";
    else
        status->proved = true;
    for (int look = 1; status->proved && prove_all(status, &broker) && look < LOOKS; look++) {
        struct timespec pause = {.tv_nsec = LOOK_AGAIN_MS * 1000000L};
        nanosleep(&pause, NULL);
        result = ask(status, door);
        if (result != PROGRAM_EXIT_OK)
            return result;
    }
    return PROGRAM_EXIT_OK;
}

int status_command(struct command_line *line, int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, COMMAND_OPTIONS};
    static struct status status; /* large */
    struct door door;
    bool json = false;
    int result = command_parse(line, argc, argv, options, help, command_take_flag, &json);
    if (result != COMMAND_GO_ON)
        return result;
    if (!command_operands(argc, argv, 0, 0))
        return PROGRAM_EXIT_USAGE;
    result = command_enter(&door, line);
    if (result != PROGRAM_EXIT_OK)
        return result;
    result = gather(&status, &door);
    door_leave(&door);
    if (result != PROGRAM_EXIT_OK)
        return result;
    if (!json)
        status_print_text(&status, moment_now_ms());
    else if (status_print_json(&status) != PROGRAM_EXIT_OK)
        return PROGRAM_EXIT_FAILED;
    return status_exit(&status);
}

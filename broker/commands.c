#include "broker.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

/* Below what the monitor lets pass (MONITOR_COMMAND_RATE): then it is never the monitor's to say.
 */
#define STARTS_PER_SECOND 100
#define PAUSE_MS          10

_Static_assert(RUN_RUNNER < MONITOR_COMMAND_SLOT, "a command's slot is above its runner's");
_Static_assert(STARTS_PER_SECOND < MONITOR_COMMAND_RATE, "see above");

static struct supervised *runner_of(struct broker *b)
{
    return supervisor_of(b, IPC_PEER_RUNNER);
}

static uint32_t process_slot(struct broker *b)
{
    return runner_of(b)->slot + MONITOR_COMMAND_SLOT;
}

void commands_init(struct broker *b)
{
    b->command = (struct command){.log = {.fd = -1}};
}

/* ---- what is said of a command ---- */

static const char *profile_word(ipc_CommandProfile profile)
{
    const char *kind = monitor_command_kind(profile);
    return kind ? kind + strlen(MONITOR_COMMAND_KINDS) : "?";
}

static void say(int priority, const ipc_RunnerWanted *command, const char *what, const char *why)
{
    char id[2 * sizeof(command->id) + 1];
    for (size_t i = 0; i < sizeof(command->id); i++)
        snprintf(id + 2 * i, 3, "%02x", command->id[i]);
    log_line(priority, "command %s of %s (%s) %s%s", id, command->kid,
             profile_word(command->profile), what, why);
}

const char *commands_word(uint32_t reason)
{
    switch (reason) {
    case MONITOR_REASON_OFF:
        return "commands_off";
    case MONITOR_REASON_PROFILE:
        return "policy_profile";
    case MONITOR_REASON_DIGEST:
        return "policy_digest";
    case MONITOR_REASON_NO_SESSION:
        return "no_session";
    case MONITOR_REASON_NO_USER:
        return "no_account";
    case MONITOR_REASON_EXECUTABLE:
    case MONITOR_REASON_UNKNOWN_KIND: /* "admin", where it is not installed or not built */
        return "no_program";
    case MONITOR_REASON_CGROUP:
        return "no_cgroup";
    default:
        return "not_started";
    }
}

void commands_lost(struct broker *b, const char *word)
{
    if (!b->command.lost)
        b->command.lost = word;
}

/* ---- one after the other ---- */

static void begin(struct broker *b)
{
    struct command *c = &b->command;
    struct supervised *runner = runner_of(b);
    uint64_t now = monotonic_ms();
    c->live = true;
    c->fetched = c->done = false;
    c->lost = NULL;
    bool in_time = quota_take(&c->starts, STARTS_PER_SECOND, now);
    supervisor_want(b, IPC_PEER_RUNNER);
    runner->retry_at_ms = in_time ? 0 : now + PAUSE_MS;
}

/* When nothing is left of one command the next may begin: it uses the same slots. */
static void go_on(struct broker *b)
{
    struct command *c = &b->command;
    if (c->live || c->generation || !c->waits)
        return;
    c->now = c->next;
    c->vault = c->next_vault;
    c->waits = false;
    begin(b);
}

void commands_wanted(struct broker *b, struct peer *vault, const ipc_RunnerWanted *wanted)
{
    struct command *c = &b->command;
    if (!monitor_command_kind(wanted->profile)) {
        peer_violates(b, vault, "a RunnerWanted of no known profile");
        return;
    }
    if (c->waits) {
        peer_violates(b, vault, "a RunnerWanted too many");
        return;
    }
    c->next_vault = vault->serial;
    c->next = *wanted;
    c->waits = true;
    go_on(b);
}

void commands_vault_gone(struct broker *b)
{
    struct supervised *runner = runner_of(b);
    b->command.waits = false;
    if (!b->command.live)
        return;
    commands_lost(b, "agent_stopped");
    if (runner->peer) {
        supervisor_kill(b, runner, "the vault has ended");
    } else { /* not yet asked for */
        runner->wanted = false;
        commands_over(b);
    }
}

/* ---- the runner ---- */

void commands_runner_started(struct broker *b)
{
    struct command *c = &b->command;
    c->generation = ++b->last_generation;
    monitor_start(b, process_slot(b), c->generation, monitor_command_kind(c->now.profile), NULL);
    say(c->now.profile == ipc_CommandProfile_PROFILE_ADMIN ? LOG_ALERT : LOG_NOTICE, &c->now,
        "is started", "");
}

void commands_runner_exits(struct broker *b, const struct peer *runner, bool done)
{
    b->command.done = done;
    b->command.fetched = peer_has_sent(runner, IPC_COMMAND_FETCH);
}

void commands_over(struct broker *b)
{
    struct command *c = &b->command;
    struct peer *vault = supervisor_serving(b, IPC_PEER_VAULT);
    struct peer *uplink = supervisor_serving(b, IPC_PEER_UPLINK);
    if (!c->live)
        return;
    const char *word = c->lost ? c->lost : c->fetched ? "runner_died" : "not_started";
    bool well = c->done && c->fetched && !c->lost;
    say(well ? LOG_NOTICE : LOG_WARNING, &c->now,
        well ? "has ended" : "is over: ", well ? "" : word);
    if (vault && vault->serial == c->vault) { /* the numbers of an earlier one mean nothing to it */
        ipc_CommandLost lost = {.number = c->now.number};
        snprintf(lost.reason, sizeof(lost.reason), "%s", word);
        router_notify(b, vault, IPC_COMMAND_LOST, &lost, NULL, 0);
    }
    if (uplink) {
        ipc_CommandEnded ended = {0};
        memcpy(ended.token, c->now.token, sizeof(ended.token));
        router_notify(b, uplink, IPC_COMMAND_ENDED, &ended, NULL, 0);
    }
    c->live = false;
    go_on(b);
}

/* ---- the command's process, which has no channel ---- */

/* It will not run: the runner, which may wait for it in vain, ends too. */
static void process_failed(struct broker *b, const char *word, const char *why)
{
    commands_lost(b, word);
    supervisor_kill(b, runner_of(b), why);
}

static void process_started(struct broker *b, const struct monitor_message *m, int *log_fd)
{
    struct command *c = &b->command;
    if (log_pipe_open(&c->log, b->loop, *log_fd, monitor_command_kind(c->now.profile), m->pid))
        log_warning("the log of a command's process cannot be read");
    *log_fd = -1;
    monitor_send(b, MONITOR_RELEASE, m->slot, m->generation);
}

static void process_gone(struct broker *b)
{
    log_pipe_close(&b->command.log);
    b->command.generation = 0;
    go_on(b);
}

bool commands_monitor(struct broker *b, const struct monitor_message *m, int *log_fd)
{
    struct command *c = &b->command;
    char why[96];
    if (m->slot != process_slot(b) || !c->generation || m->generation != c->generation)
        return false;
    switch (m->op) {
    case MONITOR_STARTED:
        if (*log_fd >= 0)
            process_started(b, m, log_fd);
        break;
    case MONITOR_REFUSED:
        process_failed(b, commands_word(m->reason), "its command's process was not started");
        process_gone(b);
        break;
    case MONITOR_LAUNCH_FAILED:
        snprintf(why, sizeof(why), "its command's sandbox cannot be built: %.*s: %s",
                 (int)strnlen(m->kind, sizeof(m->kind)), m->kind, strerror(m->code));
        log_alert("%s: %s", runner_of(b)->name, why);
        process_failed(b, "not_started", why);
        break;
    case MONITOR_EXITED: /* its runner sees it at the socketpair */
        process_gone(b);
        break;
    default:
        return false;
    }
    return true;
}

#include "monitor_table.h"

#include <string.h>

#include "identity.h"

/* Takes one token if there is one. The level is in thousandths of a token. */
static bool take(struct bucket *bucket, uint64_t burst, uint64_t rate, uint64_t now_ms)
{
    uint64_t passed = now_ms > bucket->at_ms ? now_ms - bucket->at_ms : 0;
    uint64_t missing = burst * 1000 - bucket->level;
    bucket->at_ms = now_ms;
    bucket->level += passed > missing / rate ? missing : passed * rate;
    if (bucket->level < 1000)
        return false;
    bucket->level -= 1000;
    return true;
}

void monitor_table_reset(struct monitor_table *table, const struct policy *const *policies,
                         const struct agent_config *agent, uint64_t now_ms)
{
    memset(table, 0, sizeof *table);
    table->policies = policies;
    table->agent = agent;
    table->messages = (struct bucket){.level = MONITOR_MESSAGE_BURST * 1000, .at_ms = now_ms};
    for (size_t i = 0; i < MONITOR_POLICIES_MAX; i++)
        table->starts[i] = (struct bucket){.level = MONITOR_START_BURST * 1000, .at_ms = now_ms};
}

uint32_t monitor_table_row(const struct policy *const *policies, const char *kind)
{
    uint32_t row = 0;
    while (row < MONITOR_POLICIES_MAX && policies[row] && strcmp(policies[row]->kind, kind) != 0)
        row++;
    return row < MONITOR_POLICIES_MAX && policies[row] ? row : MONITOR_POLICIES_MAX;
}

static struct monitor_decision refuse(enum monitor_reason reason, const char *why)
{
    return (struct monitor_decision){.action = MONITOR_DO_REFUSE, .reason = reason, .why = why};
}

static const struct monitor_decision granted = {.action = MONITOR_DO_START};

static struct monitor_decision violation(const char *why)
{
    return (struct monitor_decision){.action = MONITOR_DO_END_BROKER, .why = why};
}

/* Local policy: whether the configuration switches that worker off. */
static bool switched_off(const struct agent_config *agent, const struct policy *policy)
{
    return (!agent->capture.screenshots && strcmp(policy->kind, "capture") == 0) ||
           (!agent->console.host[0] &&
            (strcmp(policy->kind, "uplink") == 0 || strcmp(policy->kind, "resolver") == 0));
}

/* The lowest account of `policy` that no instance uses; policy->instances if all are in use. */
static uint32_t free_instance(const struct monitor_table *table, const struct policy *policy)
{
    uint64_t used = 0;
    for (size_t i = 0; i < MONITOR_SLOTS; i++) {
        const struct monitor_slot *slot = &table->slots[i];
        if (slot->state != SLOT_FREE && slot->policy == policy)
            used |= UINT64_C(1) << slot->instance;
    }
    uint32_t instance = 0;
    while (instance < policy->instances && instance < 64 && used >> instance & 1)
        instance++;
    return instance;
}

uint32_t monitor_table_command(const struct monitor_table *table, uint32_t slot)
{
    bool has_one = slot < MONITOR_COMMAND_SLOT && table->slots[slot].commanded &&
                   table->slots[slot + MONITOR_COMMAND_SLOT].state != SLOT_FREE;
    return has_one ? slot + MONITOR_COMMAND_SLOT : MONITOR_SLOTS;
}

/* The local policy for signed commands, which no signature overrides (docs/commands.md). */
static struct monitor_decision may_run(const struct agent_config *agent,
                                       const struct monitor_message *message)
{
    const struct agent_commands *commands = &agent->commands;
    bool listed = commands->allow_count == 0;
    for (uint32_t i = 0; i < commands->allow_count && i < AGENT_ALLOW_MAX; i++)
        listed |= memcmp(commands->allow[i], message->digest, sizeof message->digest) == 0;
    if (commands->profile == MONITOR_PROFILE_NONE)
        return refuse(MONITOR_REASON_OFF, "commands are switched off by the configuration");
    if (message->profile > commands->profile)
        return refuse(MONITOR_REASON_PROFILE, "above the highest profile of the configuration");
    if (!listed)
        return refuse(MONITOR_REASON_DIGEST, "not in the configuration's list of commands");
    return granted;
}

static bool is_runner(const struct monitor_message *message)
{
    return strcmp(message->kind, MONITOR_RUNNER_KIND) == 0;
}

static bool is_command(const struct monitor_message *message)
{
    return strncmp(message->kind, MONITOR_COMMAND_KINDS, strlen(MONITOR_COMMAND_KINDS)) == 0;
}

/* Whether there is a runner, of that very profile, that has had no command yet. */
static bool is_awaited(const struct monitor_table *table, const struct monitor_message *message)
{
    const struct monitor_slot *runner = &table->slots[message->slot - MONITOR_COMMAND_SLOT];
    const char *kind = monitor_command_kind(runner->profile);
    return runner->state != SLOT_FREE && !runner->commanded && kind &&
           strcmp(kind, message->kind) == 0;
}

/* What no limit of number or time is about: the configuration, the session, the runner. */
static struct monitor_decision check_policy(const struct monitor_table *table,
                                            const struct monitor_message *message,
                                            const struct policy *policy)
{
    const struct agent_session *session = &table->agent->session;
    const bool needs_x11 = policy->variables & POLICY_VARIABLE_X11;
    if (switched_off(table->agent, policy))
        return refuse(MONITOR_REASON_OFF, "switched off by the configuration");
    if (needs_x11 && session->type == MONITOR_SESSION_WAYLAND)
        return refuse(MONITOR_REASON_WAYLAND, "screenshots unavailable: Wayland");
    if (needs_x11 && session->type != MONITOR_SESSION_X11)
        return refuse(MONITOR_REASON_NO_SESSION, "no session");
    if (is_command(message) && !is_awaited(table, message))
        return refuse(MONITOR_REASON_NO_RUNNER, "no runner that waits for such a command");
    if (policy->identity == POLICY_SESSION &&
        !identity_fits(policy->identity, session->uid, session->gid))
        return refuse(MONITOR_REASON_NO_SESSION, "no session of a user");
    return is_runner(message) ? may_run(table->agent, message) : granted;
}

static struct monitor_decision start(struct monitor_table *table,
                                     const struct monitor_message *message, uint64_t now_ms)
{
    struct monitor_slot *slot = &table->slots[message->slot];
    const bool swift = is_runner(message) || is_command(message); /* one follows the other */
    if (slot->state != SLOT_FREE)
        return violation("START into a slot in use");
    if (message->generation <= slot->generation)
        return violation("START with a generation that has been");
    slot->generation = message->generation;
    uint32_t row = monitor_table_row(table->policies, message->kind);
    if (row == MONITOR_POLICIES_MAX || strcmp(message->kind, MONITOR_BROKER_KIND) == 0)
        return refuse(MONITOR_REASON_UNKNOWN_KIND, "no such kind");
    const struct policy *policy = table->policies[row];
    if (table->stopping)
        return refuse(MONITOR_REASON_STOPPING, "shutting down");
    struct monitor_decision decision = check_policy(table, message, policy);
    if (decision.action != MONITOR_DO_START)
        return decision;
    uint32_t instance = free_instance(table, policy);
    if (instance >= policy->instances || instance >= 64)
        return refuse(MONITOR_REASON_TOO_MANY, "as many as the policy allows are running");
    if (!take(&table->starts[row], swift ? MONITOR_COMMAND_BURST : MONITOR_START_BURST,
              swift ? MONITOR_COMMAND_RATE : MONITOR_START_RATE, now_ms))
        return refuse(MONITOR_REASON_RATE, "started too often");
    slot->state = SLOT_WAITING;
    slot->instance = instance;
    slot->policy = policy;
    slot->profile = message->profile;
    memcpy(slot->digest, message->digest, sizeof slot->digest);
    if (is_command(message))
        table->slots[message->slot - MONITOR_COMMAND_SLOT].commanded = true;
    return decision;
}

/* RELEASE and KILL name an instance. One that is gone already crossed its EXITED: not a fault. */
static struct monitor_decision existing(struct monitor_table *table,
                                        const struct monitor_message *message)
{
    struct monitor_slot *slot = &table->slots[message->slot];
    if (message->generation > slot->generation)
        return violation("RELEASE or KILL of what was never started");
    if (message->generation < slot->generation || slot->state == SLOT_FREE)
        return (struct monitor_decision){.action = MONITOR_DO_NOTHING};
    if (message->op == MONITOR_KILL)
        return (struct monitor_decision){.action = MONITOR_DO_KILL};
    if (slot->state == SLOT_RUNNING)
        return violation("RELEASE of what was released");
    slot->state = SLOT_RUNNING;
    return (struct monitor_decision){.action = MONITOR_DO_RELEASE};
}

/* Runners have the lower half of the slots, and their commands the upper. */
static bool in_place(const struct monitor_message *message)
{
    return (!is_runner(message) ||
            (message->slot < MONITOR_COMMAND_SLOT && monitor_command_kind(message->profile))) &&
           (!is_command(message) || message->slot >= MONITOR_COMMAND_SLOT);
}

/* Whether it is what a message with only the members that its op uses would be: all others are
 * zero, and so is what follows the kind. */
static bool well_formed(const struct monitor_message *message)
{
    struct monitor_message plain = {.op = message->op};
    if (message->op != MONITOR_READY) {
        plain.slot = message->slot;
        plain.generation = message->generation;
    }
    if (message->op == MONITOR_START)
        memcpy(plain.kind, message->kind, strnlen(message->kind, sizeof plain.kind - 1));
    if (is_runner(&plain)) {
        plain.profile = message->profile;
        memcpy(plain.digest, message->digest, sizeof plain.digest);
    }
    if (memcmp(&plain, message, sizeof plain) != 0)
        return false;
    return message->op == MONITOR_READY ||
           (plain.slot < MONITOR_SLOTS && plain.generation > 0 && in_place(&plain) &&
            (plain.kind[0] != 0) == (plain.op == MONITOR_START));
}

struct monitor_decision monitor_table_decide(struct monitor_table *table, const void *bytes,
                                             size_t size, uint64_t now_ms)
{
    struct monitor_message message;
    struct monitor_decision decision;
    if (size != sizeof message)
        return violation("message of a wrong size");
    memcpy(&message, bytes, sizeof message);
    if (!take(&table->messages, MONITOR_MESSAGE_BURST, MONITOR_MESSAGE_RATE, now_ms))
        return violation("flood of messages");
    if (message.op < MONITOR_START || message.op > MONITOR_READY)
        return violation("unknown op");
    if (!well_formed(&message))
        return violation("malformed message");
    if (message.op == MONITOR_READY) {
        if (table->ready)
            return violation("READY twice");
        table->ready = true;
        return (struct monitor_decision){.action = MONITOR_DO_READY};
    }
    decision =
        message.op == MONITOR_START ? start(table, &message, now_ms) : existing(table, &message);
    decision.slot = message.slot;
    return decision;
}

void monitor_table_free(struct monitor_table *table, uint32_t slot)
{
    table->slots[slot] = (struct monitor_slot){.generation = table->slots[slot].generation};
}

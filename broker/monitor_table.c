#include "monitor_table.h"

#include <string.h>

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
                         const struct monitor_facts *facts, uint64_t now_ms)
{
    memset(table, 0, sizeof *table);
    table->policies = policies;
    table->facts = *facts;
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

static struct monitor_decision refuse(enum monitor_reason reason)
{
    return (struct monitor_decision){.action = MONITOR_DO_REFUSE, .reason = reason};
}

static struct monitor_decision violation(const char *what)
{
    return (struct monitor_decision){.action = MONITOR_DO_END_BROKER, .violation = what};
}

/* Local policy: what the configuration and the session switch off. 0 if nothing does. */
static enum monitor_reason switched_off(const struct monitor_facts *facts,
                                        const struct policy *policy)
{
    if ((!facts->screenshots && strcmp(policy->kind, "capture") == 0) ||
        (!facts->console &&
         (strcmp(policy->kind, "uplink") == 0 || strcmp(policy->kind, "resolver") == 0)))
        return MONITOR_REASON_OFF;
    if (!(policy->variables & POLICY_VARIABLE_X11) || facts->session == MONITOR_SESSION_X11)
        return 0;
    return facts->session == MONITOR_SESSION_WAYLAND ? MONITOR_REASON_WAYLAND
                                                     : MONITOR_REASON_NO_SESSION;
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

static struct monitor_decision start(struct monitor_table *table,
                                     const struct monitor_message *message, uint64_t now_ms)
{
    struct monitor_slot *slot = &table->slots[message->slot];
    if (slot->state != SLOT_FREE)
        return violation("START into a slot in use");
    if (message->generation <= slot->generation)
        return violation("START with a generation that has been");
    slot->generation = message->generation;
    uint32_t row = monitor_table_row(table->policies, message->kind);
    if (row == MONITOR_POLICIES_MAX || strcmp(message->kind, MONITOR_BROKER_KIND) == 0)
        return refuse(MONITOR_REASON_UNKNOWN_KIND);
    const struct policy *policy = table->policies[row];
    if (table->stopping)
        return refuse(MONITOR_REASON_STOPPING);
    enum monitor_reason off = switched_off(&table->facts, policy);
    if (off)
        return refuse(off);
    uint32_t instance = free_instance(table, policy);
    if (instance >= policy->instances || instance >= 64)
        return refuse(MONITOR_REASON_TOO_MANY);
    if (!take(&table->starts[row], MONITOR_START_BURST, MONITOR_START_RATE, now_ms))
        return refuse(MONITOR_REASON_RATE);
    slot->state = SLOT_WAITING;
    slot->instance = instance;
    slot->policy = policy;
    return (struct monitor_decision){.action = MONITOR_DO_START};
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

static bool all_zero(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint8_t any = 0;
    while (size-- > 0)
        any |= *at++;
    return any == 0;
}

/* Whether every member that `message->op` does not use is zero, and the kind ends and is padded. */
static bool well_formed(const struct monitor_message *message)
{
    const size_t after_kind = offsetof(struct monitor_message, pid);
    const char *kind = message->kind;
    size_t length = strnlen(kind, sizeof message->kind);
    if (!all_zero((const char *)message + after_kind, sizeof *message - after_kind) ||
        message->reason != 0 || length == sizeof message->kind ||
        !all_zero(kind + length, sizeof message->kind - length))
        return false;
    return message->op == MONITOR_READY
               ? all_zero(&message->slot, sizeof *message - sizeof message->op)
               : message->slot < MONITOR_SLOTS && message->generation > 0 &&
                     (length > 0) == (message->op == MONITOR_START);
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
    table->slots[slot].state = SLOT_FREE;
    table->slots[slot].policy = NULL;
}

const char *monitor_reason_text(uint32_t reason)
{
    static const char *const texts[] = {
        [MONITOR_REASON_UNKNOWN_KIND] = "no such kind",
        [MONITOR_REASON_OFF] = "switched off by the configuration",
        [MONITOR_REASON_NO_SESSION] = "no session",
        [MONITOR_REASON_WAYLAND] = "screenshots unavailable: Wayland",
        [MONITOR_REASON_TOO_MANY] = "as many as the policy allows are running",
        [MONITOR_REASON_RATE] = "started too often",
        [MONITOR_REASON_STOPPING] = "shutting down",
        [MONITOR_REASON_NO_USER] = "its account does not exist",
        [MONITOR_REASON_CGROUP] = "no control group",
        [MONITOR_REASON_EXECUTABLE] = "its program is absent or not only root's",
        [MONITOR_REASON_SYSTEM] = "system error",
    };
    return reason > 0 && reason < sizeof texts / sizeof texts[0] ? texts[reason] : "unknown";
}

/*
 * libFuzzer: a sequence of packets from a hostile broker against the monitor's table. Input: per
 * packet one byte of size, one of time passed, then the bytes; what a broker may and may not reach
 * is checked after each.
 */
#include <stdlib.h>
#include <string.h>

#include "monitor_table.h"

static const struct policy broker = {.kind = "broker", .instances = 1};
static const struct policy capture = {
    .kind = "capture", .instances = 1, .variables = POLICY_VARIABLE_X11};
static const struct policy uplink = {.kind = "uplink", .instances = 1};
static const struct policy runner = {.kind = "runner", .instances = 3};
static const struct policy diagnostic = {.kind = "cmd-diagnostic", .instances = 3};
static const struct policy user = {.kind = "cmd-user", .instances = 3, .identity = POLICY_SESSION};
static const struct policy *const policies[] = {&broker,     &capture, &uplink, &runner,
                                                &diagnostic, &user,    NULL};

static void must(int condition)
{
    if (!condition) {
        abort();
    }
}

static void check_instances(const struct monitor_table *table)
{
    uint64_t used[6] = {0};
    for (size_t i = 0; i < MONITOR_SLOTS; i++) {
        const struct monitor_slot *slot = &table->slots[i];
        if (slot->state == SLOT_FREE) {
            must(slot->policy == NULL);
            continue;
        }
        size_t row = 0;
        while (policies[row] != slot->policy) {
            must(policies[++row] != NULL);
        }
        must(row != 0 && slot->instance < slot->policy->instances);
        must(!(used[row] >> slot->instance & 1)); /* no two instances share an account */
        used[row] |= UINT64_C(1) << slot->instance;
        must((slot->policy == &runner) == (slot->profile != MONITOR_PROFILE_NONE));
        must(slot->policy != &runner || i < MONITOR_COMMAND_SLOT);
    }
}

/* What the local policy of signed commands comes to, said once more and otherwise. */
static void check_command(const struct monitor_table *table, uint32_t at)
{
    const struct monitor_slot *slot = &table->slots[at];
    const struct agent_commands *commands = &table->agent->commands;
    if (slot->policy == &runner) {
        must(slot->profile >= 1 && slot->profile <= commands->profile);
        must(commands->allow_count == 0 || memcmp(commands->allow[0], slot->digest, 32) == 0);
    } else if (slot->policy == &diagnostic || slot->policy == &user) {
        must(at >= MONITOR_COMMAND_SLOT);
        const struct monitor_slot *below = &table->slots[at - MONITOR_COMMAND_SLOT];
        must(below->policy == &runner && below->commanded);
        must(below->profile ==
             (slot->policy == &user ? MONITOR_PROFILE_USER : MONITOR_PROFILE_DIAGNOSTIC));
        must(slot->policy != &user || table->agent->session.uid == 1000);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct monitor_table table;
    uint64_t now_ms = 1;
    if (size == 0) {
        return 0;
    }
    static struct agent_config agent;
    agent.session.type = data[0] & 3;
    agent.capture.screenshots = data[0] & 4;
    agent.console.host[0] = data[0] & 8 ? 'c' : 0;
    agent.commands.profile = data[0] >> 4 & 3;
    agent.commands.allow_count = data[0] >> 6 & 1;
    agent.session.uid = data[0] >> 7 ? 1000 : 0;
    agent.session.gid = 1000;
    memset(agent.commands.allow[0], 'd', sizeof agent.commands.allow[0]);
    monitor_table_reset(&table, policies, &agent, now_ms);
    for (size_t at = 1; size - at >= 2;) {
        size_t length = data[at];
        now_ms += data[at + 1];
        at += 2;
        length = length > size - at ? size - at : length;
        struct monitor_decision decision = monitor_table_decide(&table, data + at, length, now_ms);
        at += length;
        must(decision.slot < MONITOR_SLOTS);
        must((decision.action == MONITOR_DO_END_BROKER || decision.action == MONITOR_DO_REFUSE) ==
             (decision.why != NULL));
        if (decision.action == MONITOR_DO_START) {
            const struct policy *policy = table.slots[decision.slot].policy;
            must(policy && policy != &broker);
            must(policy != &capture ||
                 (agent.capture.screenshots && agent.session.type == MONITOR_SESSION_X11));
            must(policy != &uplink || agent.console.host[0]);
            check_command(&table, decision.slot);
        } else if (decision.action == MONITOR_DO_KILL && (now_ms & 1)) {
            monitor_table_free(&table, decision.slot);
        } else if (decision.action == MONITOR_DO_END_BROKER) {
            monitor_table_reset(&table, policies, &agent, now_ms);
        }
        check_instances(&table);
    }
    return 0;
}

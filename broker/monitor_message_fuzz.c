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
static const struct policy *const policies[] = {&broker, &capture, &uplink, &runner, NULL};

static void must(int condition)
{
    if (!condition) {
        abort();
    }
}

static void check_instances(const struct monitor_table *table)
{
    uint64_t used[4] = {0};
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
        } else if (decision.action == MONITOR_DO_KILL && (now_ms & 1)) {
            monitor_table_free(&table, decision.slot);
        } else if (decision.action == MONITOR_DO_END_BROKER) {
            monitor_table_reset(&table, policies, &agent, now_ms);
        }
        check_instances(&table);
    }
    return 0;
}

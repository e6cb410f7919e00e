/*
 * What the monitor decides about a message of the broker: pure, without side effects. It knows the
 * constant policies, the instances that exist, the configuration and the session; it never sees a
 * descriptor or a process. monitor.c carries out what is decided here.
 *
 * Not thread-safe; the monitor has one thread.
 */
#ifndef CLOISTER_MONITOR_TABLE_H
#define CLOISTER_MONITOR_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent_config.h"
#include "monitor_protocol.h"
#include "policy.h"

#define MONITOR_BROKER_KIND  "broker" /* started by the monitor itself, never on request */
#define MONITOR_POLICIES_MAX 32u

enum slot_state {
    SLOT_FREE,
    SLOT_WAITING, /* started, waits for its order */
    SLOT_RUNNING, /* released */
};

struct monitor_slot {
    enum slot_state state;
    uint32_t generation; /* of the instance in it, or of the last one; 0: never used */
    uint32_t instance;   /* which of the policy's accounts it uses */
    const struct policy *policy;
    uint32_t profile;   /* enum monitor_profile: of a runner; NONE otherwise */
    bool commanded;     /* a runner whose command has been started, the one that it may have */
    uint8_t digest[32]; /* the command hash, of a runner */
};

struct bucket { /* of tokens, in thousandths; rates are per second */
    uint64_t level, at_ms;
};

struct monitor_table {
    const struct policy *const *policies; /* NULL at the end */
    const struct agent_config *agent;     /* with the session as it is now */
    bool ready, stopping;
    struct bucket messages;
    struct bucket starts[MONITOR_POLICIES_MAX];
    struct monitor_slot slots[MONITOR_SLOTS];
};

enum monitor_action {
    MONITOR_DO_NOTHING,
    MONITOR_DO_START,   /* decision.slot is taken now; monitor_table_free it if starting fails */
    MONITOR_DO_REFUSE,  /* decision.reason */
    MONITOR_DO_RELEASE, /* send the order of decision.slot */
    MONITOR_DO_KILL,    /* kill the process of decision.slot */
    MONITOR_DO_READY,
    MONITOR_DO_END_BROKER, /* it broke the protocol */
};

struct monitor_decision {
    enum monitor_action action;
    uint32_t slot;
    enum monitor_reason reason; /* of a refusal */
    const char *why;            /* of a refusal or the broker's end, in words for the log */
};

/* Starts anew, for a new broker: all slots free. Does nothing to processes. Keeps both by
 * reference. */
void monitor_table_reset(struct monitor_table *table, const struct policy *const *policies,
                         const struct agent_config *agent, uint64_t now_ms);

/* Decides on one packet of `size` bytes at `bytes` (any alignment), and books what it decides. */
struct monitor_decision monitor_table_decide(struct monitor_table *table, const void *bytes,
                                             size_t size, uint64_t now_ms);

/* The instance in `slot` is gone, or was not started. Its generation stays used. */
void monitor_table_free(struct monitor_table *table, uint32_t slot);

/* The slot of the command's process that the runner in `slot` has, or MONITOR_SLOTS. */
uint32_t monitor_table_command(const struct monitor_table *table, uint32_t slot);

/* Where the policy of that kind stands in `policies`, or MONITOR_POLICIES_MAX. */
uint32_t monitor_table_row(const struct policy *const *policies, const char *kind);

#endif

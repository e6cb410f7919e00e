/*
 * A broker that has been taken over: it stands in the place of cloister-broker, behind its policy,
 * with the real monitor, the real runner and the real process of a command. This is what it does
 * like any broker; what it tries is in hostile_plans.c. One thread, no heap of its own.
 */
#ifndef CLOISTER_HOSTILE_BROKER_H
#define CLOISTER_HOSTILE_BROKER_H

#include "agent_config.h"
#include "channel.h"
#include "cloister.pb.h"
#include "monitor_protocol.h"

#define DEADLINE_MS 10000
#define ORDER_MAX   262144

/* One process that the monitor was asked for. */
struct instance {
    const char *name;
    uint32_t slot, generation;
    bool started, refused, exited, ready;
    uint32_t reason; /* refused: enum monitor_reason */
    int code, status, log, pid;
    struct channel *channel;
};

/* What the vault has ordered for a runner. */
struct ordered {
    ipc_CommandOrder body;
    uint8_t bytes[ORDER_MAX];
    size_t length;
};

/* All that it knows, and what of it has come so far. */
struct hostile {
    struct agent_config config;
    struct instance vault, runner, process;
    struct ordered order;    /* the vault's last */
    uint32_t orders;         /* how many of them */
    uint32_t fetch_request;  /* the runner's, for its order; 0: not yet */
    uint32_t chunks;         /* of output that this runner sent */
    uint32_t finished, code; /* CommandFinished of this runner, and its exit status */
    bool decided, wanted;    /* the vault's answers to a TokenOffer */
    ipc_TokenDecision decision;
    ipc_RunnerWanted want;
    bool stopping;
};
extern struct hostile hostile;

/* Writes a line to the log, which the monitor relays. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Says so, and exits. */
__attribute__((noreturn)) void fail(const char *what);

/* Takes what has come, waiting for at most 100 ms. */
void pump(void);
/* Goes on until one of the two is true; fails after DEADLINE_MS. */
void await(const char *what, const bool *one, const bool *other);
/* Monotonic milliseconds. */
int64_t now_ms(void);

/* Sends a message to the monitor, or one about an instance; exits if it takes none any more. */
void tell(const struct monitor_message *message);
void tell_of(uint32_t op, const struct instance *it);
/* A START for the next generation of `it`, whose channel and state are reset. */
struct monitor_message start_of(struct instance *it, const char *kind);
/* Sends it and waits for the answer: true if STARTED. */
bool asked_to_start(struct instance *it, const struct monitor_message *message);
bool ask_runner(uint32_t profile, const uint8_t digest[32]);
bool ask_process(const char *kind);
/* Starts and welcomes a vault. */
void start_vault(void);
/* A runner and its command's process, up to the point where it asks for its order. */
void start_command(const uint8_t digest[32]);
/* Kills the runner, and waits for both to end. */
void kill_runner(void);

#endif

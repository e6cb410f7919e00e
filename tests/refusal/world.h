/*
 * A broker of real code and real channels, whose peers the test plays.
 *
 * The broker's parts run in this process as they run in cloister-broker; the test stands where the
 * monitor, the workers and the users' programs stand, and says what no honest one says. What this
 * leaves out (the kernel's half: processes, uids, the sandbox) is in tests/agent.
 */
#ifndef CLOISTER_WORLD_H
#define CLOISTER_WORLD_H

#include "broker.h"
#include "door_client.h"

struct worker_end {
    struct channel *channel; /* the worker's end; NULL: not dialled */
    uint32_t generation;     /* of the running instance; 0: none */
    bool serving, killed;
    unsigned kills;
};

struct client_end {
    int door;
    struct channel *channel;
    bool welcome, gone;
    uint8_t ticket[16];
};

/* Workers that serve all the time: all but the runner, which a command has to be wanted for. */
#define STANDING RUN_RUNNER

/* What the played monitor has seen and does of signed commands. */
struct played_commands {
    unsigned runner_starts, process_starts;
    struct monitor_message runner, process; /* their last START */
    uint32_t generation;                    /* of the command's process; 0: none */
    bool released;
    uint32_t refuse_runner, refuse_process; /* enum monitor_reason; 0: start them */
    bool fail_launch;                       /* of the process, when it is released */
};

struct world {
    struct broker b;
    struct agent_config config;
    char folder[32];
    int monitor;
    struct worker_end ends[SUPERVISED];
    struct played_commands commands;
};

/* Makes a broker with a folder of its own; brings nothing up yet. */
struct world *world_new(void);
void world_free(struct world *w);

/* Runs the broker until `done` says so; fails the test after 20 s. */
void world_run(struct world *w, bool (*done)(struct world *w, void *arg), void *arg);
/* Runs the broker until nothing more happens. */
void world_settle(struct world *w);

/* Brings a worker up to START (welcome received) or SERVE (ready). */
void world_worker(struct world *w, int index, enum ipc_phase phase);
/* All standing workers serving. */
void world_all_serve(struct world *w);
/* The vault wants a runner of that profile for command `number`, whose token begins with it. */
void world_want_runner(struct world *w, uint32_t number, ipc_CommandProfile profile);
/* That worker exits by itself, with that status. */
void world_exit(struct world *w, int index, int status);
/* The command's process exits. */
void world_process_exits(struct world *w);
/* Reads and drops what waits at that worker's end. */
void world_drain(struct world *w, int index);

/* A client of that kind in that phase, through the door. */
void world_client(struct world *w, struct client_end *c, enum ipc_peer kind, enum ipc_phase phase);
/* Knocks at that door and expects "no" for that reason. */
int world_knock(struct world *w, const char *name);
void world_turned_away(struct world *w, int fd, const char *why);
void expect_turned_away(struct world *w, const char *name, const char *why);
void world_client_end(struct client_end *c);
/* Sees whether the broker has hung up. */
bool client_gone(struct client_end *c);

/* Receives on `channel` until a message comes; the caller frees it. */
void world_receive(struct world *w, struct channel *channel, struct message *out);

/* The four-chunk bundle that world_client consents to, and its parts. */
#define BUNDLE_CHUNKS 4u
#define BUNDLE_SIZE   (3u * CONSENT_CHUNK + 1000u)
const uint8_t *bundle_bytes(void);
void bundle_consent(struct world *w, const struct client_end *c, ipc_Consent *out,
                    uint8_t list[BUNDLE_CHUNKS * CONSENT_DIGEST]);

#endif

/*
 * cloister-broker: the state of the unprivileged half, and what its parts call of one another.
 *
 *   broker_main.c     start, lock, shutdown
 *   broker_tick.c     the deadlines of all parts
 *   monitor_link.c    the fixed-size messages to and from the monitor
 *   supervisor.c      which workers should run, their back-off
 *   door.c            the users' way in
 *   router.c          every message: check, match, relay
 *   handlers.c        the messages that the broker itself answers
 *   welcome.c         what each peer is told of the configuration
 *   tickets.c         tickets, consent, the chunks that may pass
 *   commands.c        signed commands: a runner and its command, one after the other
 *   connection.c      the console connection's life: resolve, connect, wait
 *   log_pipe.c        the workers' standard error
 *
 * One thread, one struct broker, static tables, no heap but nng's and the consents' digest lists.
 */
#ifndef CLOISTER_BROKER_H
#define CLOISTER_BROKER_H

#include "agent_config.h"
#include "backoff.h"
#include "cloister.pb.h"
#include "consent.h"
#include "event_loop.h"
#include "log_pipe.h"
#include "log_ration.h"
#include "monitor_protocol.h"
#include "peer.h"
#include "requests.h"
#include "lock.h"

#define CLIENTS_MAX     32
#define TICKETS_MAX     8
#define REQUEST_WAIT_MS 60000 /* the longest that an answer may take */
#define WORKER_WAIT_MS  20000 /* that of a worker which waits for nobody: vault, capture */

/* ---- workers ---- */

enum supervised_index { RUN_VAULT, RUN_CAPTURE, RUN_UPLINK, RUN_RESOLVER, RUN_RUNNER, SUPERVISED };

struct supervised {
    enum ipc_peer kind;
    const char *name;
    bool wanted;   /* to be started when retry_at_ms has come */
    bool keep;     /* started again whenever it ends; otherwise its owner decides */
    bool disabled; /* by configuration */
    bool finished; /* it has done what it was started for: its end is no news */
    uint32_t slot, generation;
    struct peer *peer; /* NULL: down */
    struct backoff backoff;
    uint64_t retry_at_ms; /* monotonic */
    uint64_t since_ms;    /* monotonic: of the present state */
    uint32_t restarts;
    char reason[128]; /* why it is down */
    ipc_LockReport lock;
    struct log_pipe log;
};

/* ---- signed commands ---- */

/* The one that is carried out, and the one that waits for it to be over. */
struct command {
    bool live;  /* `now` has, or is about to have, a runner */
    bool waits; /* `next` follows when nothing is left of `now` */
    ipc_RunnerWanted now, next;
    uint64_t vault, next_vault; /* serials of those that want them */
    const char *lost;    /* why it does not run, a word of docs/commands.md; NULL: not known */
    bool fetched, done;  /* its runner, which is gone, had the order; ended well */
    uint32_t generation; /* of the command's process; 0: there is none */
    struct log_pipe log; /* of the same */
    struct quota starts;
};

/* ---- clients and tickets ---- */

struct client {
    bool used;
    int fd; /* the connection to the door; open as long as the client may be */
    struct event_source source;
    struct peer *peer;
    struct broker *broker;
};

struct ticket {
    bool used;
    uint32_t number; /* the stamp; never reused while the broker lives */
    uint8_t id[16];  /* random; names the ticket to user and console */
    struct peer *peer;
    struct consent consent;
    uint64_t consent_ms;      /* unix time */
    uint32_t consent_request; /* the Consent that waits for the vault; 0: none */
    uint8_t origin[64];
    uint64_t offered_to; /* serial of the uplink that has the offer */
};

struct broker {
    int loop;
    int wake_fd, monitor_fd;
    struct event_source wake_source, monitor_source, life_source;
    const struct agent_config *config;
    ipc_LockReport lock; /* the broker's own */
    uint64_t started_unix_ms;
    uint64_t stop_at_ms; /* 0: not stopping */
    uint64_t last_serial;
    uint32_t last_generation, last_ticket;
    uint32_t refusals;
    struct log_ration client_alerts, turned_away;
    int spare_fd; /* given up for a moment when descriptors run out, to turn a caller away */
    struct supervised workers[SUPERVISED];
    struct peer peers[PEERS_MAX];
    struct client clients[CLIENTS_MAX];
    struct ticket tickets[TICKETS_MAX];
    struct command command;
    struct requests requests;
    int door_ticket_fd, door_control_fd;
    struct event_source door_ticket_source, door_control_source;
    /* the session and the console connection, as far as known */
    struct agent_session session;
    ipc_UplinkStatus uplink;
    ipc_CaptureStatus capture;
    struct backoff uplink_backoff;
    uint64_t uplink_retry_at_ms; /* monotonic; 0: not waiting */
    ipc_Address addresses[8];
    size_t address_count;
};

/* ---- broker_tick.c ---- */
/* Runs what is due; returns for how many ms the loop may sleep, -1: for ever. */
int broker_tick(struct broker *b);
uint32_t broker_random(void);

/* ---- monitor_link.c ---- */
/* Sends RELEASE, KILL or READY (0, 0); ends the process if the monitor is gone. */
void monitor_send(struct broker *b, enum monitor_op op, uint32_t slot, uint32_t generation);
/* Sends START; `command` is what a runner is for, NULL for other kinds. */
void monitor_start(struct broker *b, uint32_t slot, uint32_t generation, const char *kind,
                   const ipc_RunnerWanted *command);
/* Takes what the monitor has sent. */
void monitor_ready(void *broker, uint32_t events);

/* ---- supervisor.c ---- */
void supervisor_init(struct broker *b);
struct supervised *supervisor_of(struct broker *b, enum ipc_peer kind);
struct supervised *supervisor_of_peer(struct broker *b, const struct peer *peer);
/* The serving worker of that kind, or NULL. */
struct peer *supervisor_serving(struct broker *b, enum ipc_peer kind);
/* Starts what is due. Returns the next moment (monotonic ms) at which something is, or UINT64_MAX.
 */
uint64_t supervisor_tick(struct broker *b, uint64_t now);
void supervisor_started(struct broker *b, const struct monitor_message *m, int log_fd);
void supervisor_refused(struct broker *b, const struct monitor_message *m);
void supervisor_launch_failed(struct broker *b, const struct monitor_message *m);
void supervisor_exited(struct broker *b, const struct monitor_message *m);
/* Asks for the worker now, once. */
void supervisor_want(struct broker *b, enum ipc_peer kind);
/* The worker has locked and said so. */
void supervisor_serves(struct broker *b, struct peer *peer, const ipc_LockReport *lock);
/* Kills a worker; `why` is kept for the status. */
void supervisor_kill(struct broker *b, struct supervised *worker, const char *why);

/* ---- door.c ---- */
int door_open(struct broker *b);
/* The client's peer is finished: close everything of it. */
void door_end(struct broker *b, struct peer *peer);

/* ---- router.c ---- */
struct peer *peer_new(struct broker *b, enum ipc_peer kind);
/* Ends a peer's channel; refuses what it owed, drops what it asked. */
void peer_end(struct broker *b, struct peer *peer);
/* Starts to read the peer's channel. */
void peer_watch(struct broker *b, struct peer *peer);
struct peer *peer_by_serial(struct broker *b, uint64_t serial);
/* The peer broke the rules: kill the worker, cut off the client; log an alert. */
void peer_violates(struct broker *b, struct peer *peer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Connections that came or went; sent requests that are overdue. */
void router_wake(void *broker, uint32_t events);
uint64_t router_tick(struct broker *b, uint64_t now);
/* Answers a peer's request, or refuses it. */
void router_answer(struct broker *b, struct peer *peer, uint32_t request, uint16_t number,
                   const void *body, const void *blob, size_t blob_length);
void router_refuse(struct broker *b, struct peer *peer, uint32_t request, ipc_RefusalReason reason,
                   const char *detail);
/* The broker's own messages. A worker that does not take them is killed, a client cut off. */
void router_notify(struct broker *b, struct peer *peer, uint16_t number, const void *body,
                   const void *blob, size_t blob_length);
/* Asks a worker something; the answer comes to handlers_answer with `tag`. 0 or a RefusalReason. */
ipc_RefusalReason router_ask(struct broker *b, struct peer *peer, uint16_t number, uint32_t tag,
                             const void *body);

/* ---- handlers.c ---- */
void handlers_message(struct broker *b, struct peer *from, const struct message *message);
/* An answer to what the broker asked with `tag`; message is NULL if it will not come. */
void handlers_answer(struct broker *b, uint16_t request_type, uint32_t tag,
                     const struct message *message);

/* ---- welcome.c ---- */
void welcome_send(struct broker *b, struct peer *peer, uint32_t request);

/* ---- tickets.c ---- */
struct ticket *ticket_open(struct broker *b, struct peer *peer);
struct ticket *ticket_of_uid(struct broker *b, uid_t uid);
void ticket_end(struct broker *b, struct ticket *ticket);
void ticket_consent(struct broker *b, struct peer *peer, const struct message *message);
void ticket_origin(struct broker *b, uint32_t number, const struct message *answer);
/* May this message go to uplink? Cuts the ticket off if not. */
bool ticket_may_pass(struct broker *b, struct peer *peer, struct peer *uplink,
                     const struct message *message);
/* Tells every open ticket how uplink and capture stand. */
void tickets_notice(struct broker *b, bool frames_forgotten);
/* SHA-256 over the configured recipients, each followed by a newline. */
void ticket_recipients_digest(const struct agent_config *config, uint8_t out[CONSENT_DIGEST]);

/* ---- commands.c ---- */
void commands_init(struct broker *b);
/* The vault wants a runner. */
void commands_wanted(struct broker *b, struct peer *vault, const ipc_RunnerWanted *wanted);
/* Nobody is left who could write down what becomes of a command: it is ended. */
void commands_vault_gone(struct broker *b);
/* The runner stands: its command's process follows. */
void commands_runner_started(struct broker *b);
/* The runner has exited, `done` or otherwise; its peer still stands. commands_over follows. */
void commands_runner_exits(struct broker *b, const struct peer *runner, bool done);
/* There is no runner any more, or will be none: tells vault and uplink, once. */
void commands_over(struct broker *b);
/* Why the command does not run: the first word of docs/commands.md that is said counts. */
void commands_lost(struct broker *b, const char *word);
/* That word for a refusal of the monitor's. */
const char *commands_word(uint32_t monitor_reason);
/* A message of the monitor about the command's process? Then it is dealt with, and true. Takes
 * *log_fd over if it sets it to -1. */
bool commands_monitor(struct broker *b, const struct monitor_message *m, int *log_fd);

/* ---- connection.c ---- */
void connection_init(struct broker *b);
uint64_t connection_tick(struct broker *b, uint64_t now);
void connection_resolved(struct broker *b, struct peer *resolver, const ipc_ResolveAnswer *answer);
void connection_state(struct broker *b, struct peer *uplink, const ipc_UplinkStatus *status);
/* The machine's key changed: the console must hear of it on a new connection. */
void connection_renew(struct broker *b);
/* Uplink or resolver ended, for this reason. */
void connection_ended(struct broker *b, enum ipc_peer kind, const char *why);

/* ---- capture's state, in handlers.c ---- */
void capture_down(struct broker *b, ipc_CapturePhase phase, const char *detail);

#endif

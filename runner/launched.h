/*
 * For tests: the real cloister-runner and cloister-command, started by the real launcher in their
 * sandboxes, and the broker's end of the runner's channel, from which the test plays vault and
 * uplink. Needs root. Fails the running cmocka test where something does not work, after showing
 * what the processes logged.
 */
#ifndef CLOISTER_RUNNER_LAUNCHED_H
#define CLOISTER_RUNNER_LAUNCHED_H

#include <sys/types.h>

#include "channel.h"
#include "cloister.pb.h"
#include "order.h"

#define LAUNCHED_NUMBER 7u /* of the command, in the runner's configuration */

/* One process in its sandbox. */
struct launched {
    const char *kind;
    pid_t pid; /* 0: not running */
    int life, log;
};

struct launched_pair {
    char home[64];
    struct launched runner, command;
    int link[2]; /* the runner's end and the command's; -1: given or closed */
    int wake;
    struct channel *channel;
    uint32_t request; /* the last of ours */
    struct grant grant;
    uint8_t order[ORDER_MAX];
    size_t order_length;
    ipc_LockReport lock;
    const char *programs; /* the folder of the runner's program; NULL: that of all others */
};

/* Makes the folder and the link, and a grant for this order; `programs` may be set then. */
void launched_prepare(struct launched_pair *pair, struct order *order);

/* Kills what runs and removes the folder. */
void launched_remove(struct launched_pair *pair);

/* A person's account on this machine, whose group is of the same number; 0 if there is none. */
uid_t launched_person(void);

/* Starts the process of the profile's command in its sandbox, at the link's other end. */
void launched_command(struct launched_pair *pair);

/* Starts the runner with the link's end and the grant, and brings it to where it serves. */
void launched_runner(struct launched_pair *pair);

/* Receives the runner's next message; the caller frees it. */
void launched_receive(struct launched_pair *pair, struct message *message);

/* Receives one, without waiting longer than that. Returns whether there was one. */
bool launched_try(struct launched_pair *pair, struct message *message, int wait_ms);

/* Sends an answer, or with request 0 a request of our own, to the runner. */
void launched_say(struct launched_pair *pair, uint16_t number, uint32_t request, const void *body,
                  const void *blob, size_t blob_length);

/* Refuses a request of the runner's. */
void launched_refuse(struct launched_pair *pair, const struct message *request,
                     ipc_RefusalReason reason);

/* Answers CommandFetch with the order. */
void launched_answer_fetch(struct launched_pair *pair, const struct message *fetch);

/* Waits until a process has ended by itself. Returns its status, as waitpid(2) gives it. */
int launched_wait(struct launched *process);

#endif

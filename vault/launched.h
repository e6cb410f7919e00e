/*
 * For tests: the real cloister-vault, started by the real launcher with its policy, and the
 * broker's end of its channel. Needs root. Fails the running cmocka test where something does not
 * work, after showing what the vault logged.
 */
#ifndef CLOISTER_VAULT_LAUNCHED_H
#define CLOISTER_VAULT_LAUNCHED_H

#include <sys/types.h>

#include "channel.h"
#include "cloister.pb.h"
#include "command_keys.h"
#include "grant.h"

#define LAUNCHED_UID     64200
#define LAUNCHED_CONSOLE "console.example.org"
#define LAUNCHED_EVENTS  8

struct launched {
    char home[64];                     /* a folder with everything, "state" among it */
    char program[128];                 /* the shipped one, unless changed before it is started */
    uint8_t order_key[GRANT_KEY_SIZE]; /* of the grant that it gets */
    pid_t pid;                         /* 0: not running */
    int life, log, wake;
    struct channel *channel;
    uint32_t request;
    ipc_LockReport lock;
    bool wanted; /* a runner was, since the start or the last time that this was cleared */
    ipc_RunnerWanted runner;
    size_t blob_length; /* of the last answer */
    uint8_t blob[262144];
    size_t event_count;
    ipc_VaultEvent events[LAUNCHED_EVENTS]; /* since the start or the last launched_forget */
};

/* Makes the folders, with an empty state folder. */
void launched_prepare(struct launched *vault);

/* Removes them, and the process if it still runs. */
void launched_remove(struct launched *vault);

/*
 * Starts the vault for hardware with this disk's serial number (NULL: it cannot be read), and waits
 * until it is locked and serves.
 */
void launched_start(struct launched *vault, const char *disk);

/* Ends it as the monitor does, by the life pipe, and checks that it went by itself. */
void launched_stop(struct launched *vault);

/* Kills it. */
void launched_kill(struct launched *vault);

/* Uses a copy of the shipped program in which these keys are stamped, from the next start on. */
void launched_stamp(struct launched *vault, const struct command_keys *table);

/* Sends a notification, as the broker does. */
void launched_tell(struct launched *vault, uint16_t number, const void *body);

/*
 * As launched_ask, with a blob; the answer's is in vault->blob.
 */
uint16_t launched_ask_with(struct launched *vault, uint16_t number, uint32_t uid,
                           const void *request, const void *blob, size_t blob_length, void *answer,
                           ipc_Refused *refused);

/*
 * Sends a request with this stamp and waits for its answer, decoded into `answer`. Returns the
 * answer's type; IPC_REFUSED fills `refused` instead.
 */
uint16_t launched_ask(struct launched *vault, uint16_t number, uint32_t uid, const void *request,
                      void *answer, ipc_Refused *refused);

#endif

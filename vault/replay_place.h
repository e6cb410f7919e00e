/*
 * For the tests of the replay store: a state folder of their own, a store in it, commands to put
 * into it, and hands to damage it with.
 */
#ifndef CLOISTER_VAULT_REPLAY_PLACE_H
#define CLOISTER_VAULT_REPLAY_PLACE_H

#include "replay_store.h"

#define PLACE_NOW     UINT64_C(1790000000000) /* unix ms: when the store of a place is made */
#define PLACE_LOG_MAX (64 * REPLAY_RECORD_SIZE)

struct place {
    char path[64];
    int folder;
    struct replay_store store;
};

/* Both files of a store, as bytes. */
struct place_copy {
    size_t log_length;
    uint8_t log[PLACE_LOG_MAX];
    uint8_t anchor[REPLAY_ANCHOR_SIZE];
};

/* Makes a folder with a fresh store, and the marker of a machine key. cmocka's set-up. */
int place_set_up(void **state);
int place_tear_down(void **state);

/* Opens the store as a new process would. */
void place_open(struct place *place, uint64_t unix_ms);

/* Runs a command line with the folder's path for each %s (at most two); it must succeed. */
void place_run(const struct place *place, const char *format);

void place_copy(const struct place *place, struct place_copy *out);
/*
 * Replace one file's content, as a crash or a power cut would: the anchor still knows when the log
 * was changed.
 */
void place_put_log(const struct place *place, const uint8_t *bytes, size_t length);
void place_put_anchor(const struct place *place, const uint8_t *bytes, size_t length);

/* Has the anchor's whole places say that the log was last changed when it was. */
void place_seal(const struct place *place);

/* A command of `kid` with this sequence number; token and jti are made of both. */
struct replay_command place_command(const char *kid, uint64_t seq);

/* Whether it would be admitted, with nbf = the place's second of `unix_ms`. */
enum replay_admission place_admit(const struct place *place, const struct replay_command *command);

/* Admits and accepts; 0 when it is durable. */
int place_accept(struct place *place, const struct replay_command *command);

/* Ends it well with exit status `code`. 0 or -errno. */
int place_finish(struct place *place, const struct replay_command *command, uint32_t code);

/* Accepts, starts and ends such a command. */
void place_run_whole(struct place *place, const char *kid, uint64_t seq);

/* What the store knows of it, or NULL. */
const struct replay_command *place_find(const struct place *place,
                                        const struct replay_command *command);

/* The store is usable; or it says `why` it is not, and takes nothing. */
void place_assert_usable(const struct place *place);
void place_assert_refuses(struct place *place, const char *why);

#endif

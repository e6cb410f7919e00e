/*
 * For tests: one command from its order to its end, with the vault and uplink played by the test.
 */
#ifndef CLOISTER_RUNNER_PLAYED_H
#define CLOISTER_RUNNER_PLAYED_H

#include "launched.h"
#include "streams.h"

#define PLAYED_MAX (64u << 20) /* bytes of one stream */

struct played {
    struct launched_pair pair;
    uint8_t *bytes[STREAMS]; /* what the console has */
    size_t length[STREAMS];
    uint32_t next[STREAMS]; /* chunks that it has */
    uint32_t most;          /* bytes of the longest */
    ipc_CommandFinished finished;
    bool has_finished, has_ended; /* CommandFinished, OutputEnd */
    uint32_t outstanding, most_outstanding;
    /* Told by the test: */
    bool hold_chunks; /* do not answer chunks: they are noted in `held` */
    uint32_t held[64];
    size_t held_count;
};

/* An order of the profile diagnostic with limits that do not matter, for one program. */
struct order played_order(const char *path, const char *first, const char *second);

/* One with a script and no arguments. */
struct order played_script(const char *text);

/* Starts both processes and answers CommandFetch. */
void played_start(struct played *played, struct order *order);

/* Takes the next message and answers it as an honest vault and uplink do. */
void played_step(struct played *played);

/* Steps until the output's end was told; checks that the runner then goes by itself. */
void played_finish(struct played *played);

/* All of it: played_start and played_finish. */
void played_run(struct played *played, struct order *order);

/* Answers the chunks that were held. */
void played_release(struct played *played);

/* Frees what is left, the processes too. */
void played_end(struct played *played);

/* Checks how the command ended, and what its streams carried. */
void played_exited(const struct played *played, uint32_t status);
void played_wrote(const struct played *played, enum stream_name stream, const char *text);

#endif

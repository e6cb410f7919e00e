/*
 * The output of one command on its way to the console (docs/wire.md, "Commands"): two streams of
 * numbered chunks, each answered to the runner when the console has it for good.
 *
 * A chunk is sent when the network has room and forgotten then: what is lost with a connection the
 * runner still has. Chunks that wait long for a slow network are given back to the runner, since
 * the broker lets no request be unanswered for more than a minute.
 *
 * Times are monotonic milliseconds that the caller supplies. One thread at a time.
 */
#ifndef CLOISTER_UPLINK_OUTPUT_H
#define CLOISTER_UPLINK_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define OUTPUT_ANSWER_MS    60000  /* from a chunk, or the last acknowledgement, to the next one */
#define OUTPUT_QUEUE_MAX    524288 /* bytes waiting for the network: no further chunk is sent */
#define OUTPUT_HELD_MS      40000  /* a chunk that waited so long is given back */
#define OUTPUT_LATE_MS      50000  /* an answer after so long may have come too late */
#define OUTPUT_CHUNKS_PER_S 2000   /* each may be acknowledged on its own */

enum output_stream { OUTPUT_STDOUT, OUTPUT_STDERR, OUTPUT_STREAMS };

/* What becomes of a request that cannot be fulfilled. */
enum output_refusal {
    OUTPUT_NO_SUCH = 1, /* not the command that is under way */
    OUTPUT_BUSY,        /* to be sent again: later, or when the runner is told to go on */
    OUTPUT_ORDER,       /* a chunk before one that came already, or of a wrong length */
};

struct output_callbacks {
    /* Queue a binary message; the bytes are copied. 0 or -errno. */
    int (*send_binary)(void *user, const void *bytes, size_t length);
    /* Bytes that are queued and not yet handed to the network. */
    size_t (*queued)(void *user);
    /* Answer the runner's request. Must not call back. */
    void (*taken)(void *user, uint32_t request);
    void (*refused)(void *user, uint32_t request, enum output_refusal why);
};

/* How fast chunks may be sent, over all commands of a connection. Zero it first. */
struct output_pace {
    int64_t second_since_ms;
    uint32_t sent;
};

struct output_chunk {
    uint32_t request; /* 0: nobody waits */
    enum output_stream stream;
    uint32_t index;
    int64_t since_ms;
    uint8_t *frame; /* with its header; NULL once it is sent */
    size_t length;  /* of the frame */
};

struct output {
    uint8_t token[WIRE_TOKEN_SIZE];
    struct {
        uint32_t acked; /* the console has the chunks below */
        uint32_t out;   /* those below were sent, or need not be */
        uint32_t in;    /* those below were handed in, or need not be */
        bool leapt;     /* `in` was expected; `leap` and later ones came and were refused */
        uint32_t leap;
    } streams[OUTPUT_STREAMS];
    struct output_chunk chunks[WIRE_OUTPUT_WINDOW]; /* in the order in which they came */
    size_t count, sent;                             /* the first `sent` are */
    int64_t deadline_ms; /* of the console's acknowledgement; INT64_MAX: none is owed */
    bool late;           /* an answer may have come too late: the runner should be told */
    bool orphaned;       /* there is no runner any more */
};

/* Begins anew, with chunks that the console has already. */
void output_begin(struct output *output, const uint8_t token[WIRE_TOKEN_SIZE],
                  uint32_t stdout_count, uint32_t stderr_count);

/*
 * The runner hands in a chunk, which is copied. Answers `request` now or later; at once if the
 * console has it, or if it is refused: OUTPUT_ORDER, or OUTPUT_BUSY while WIRE_OUTPUT_WINDOW are
 * unanswered, without memory, or when one before it is missing. (The broker may have refused that
 * one, and the runner sends it again; only when it begins a second time behind a gap it has no
 * more.)
 */
void output_hand_in(struct output *output, const struct output_callbacks *callbacks, void *user,
                    uint32_t request, enum output_stream stream, uint32_t index, const void *bytes,
                    size_t length, int64_t now_ms);

/* Sends what there is room for. Returns 0 or -errno. */
int output_pump(struct output *output, const struct output_callbacks *callbacks, void *user,
                struct output_pace *pace, int64_t now_ms);

/* The console has so many chunks of each stream. false: it cannot, they were not sent. */
bool output_acknowledge(struct output *output, const struct output_callbacks *callbacks, void *user,
                        uint32_t stdout_count, uint32_t stderr_count, int64_t now_ms);

/* Whether the runner should be asked to go on from the chunks that are not sent yet. */
bool output_should_give_back(const struct output *output, int64_t now_ms);

/*
 * Refuses and forgets the chunks that are not sent. Those that are remain; the runner keeps them
 * too and, told to go on from what the console has, hands them in again.
 */
void output_give_back(struct output *output, const struct output_callbacks *callbacks, void *user);

/* Refuses what waits, with `why`, and forgets everything. Accepts what is empty. */
void output_end(struct output *output, const struct output_callbacks *callbacks, void *user,
                enum output_refusal why);

/* Its runner is gone: nobody waits for answers. What was handed in is still sent. */
void output_orphan(struct output *output, const struct output_callbacks *callbacks, void *user);

/* When output_pump, output_should_give_back or the deadline has to be looked at; INT64_MAX: never.
 */
int64_t output_deadline_ms(const struct output *output, const struct output_pace *pace);

#endif

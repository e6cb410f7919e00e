/*
 * A command's standard output and error on their way to the console: kept, counted, hashed, cut
 * into chunks, and held until the console has them.
 *
 * Bytes are read straight into the place that streams_room names. A chunk is full at
 * STREAMS_CHUNK bytes; a smaller one is closed when its stream has ended, or when its first byte is
 * STREAMS_PAUSE_MS old and it could be sent at once. So somebody who watches sees output promptly,
 * while under load, or when nobody takes anything, chunks are full. A chunk that was closed never
 * changes: it is sent again with the same number and the same bytes.
 *
 * At most STREAMS_WINDOW chunks are under way. When one is refused nothing more is sent until
 * streams_resume. What is not taken occupies a slot; when all are, streams_room says that there is
 * no room, and the command waits in its write(2). One slot is kept free for a stream that has none,
 * so that a flood on one does not silence the other.
 *
 * Both streams together keep at most the limit; what is read beyond it is counted and thrown away.
 *
 * Pure, but for the caller's memory; one thread. Times are milliseconds of one clock.
 */
#ifndef CLOISTER_STREAMS_H
#define CLOISTER_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digest.h"

#define STREAMS_CHUNK    262144u
#define STREAMS_SLOTS    32u /* 8 MiB while the command runs */
#define STREAMS_SPARE    10u /* and after its end, for what two pipes of 1 MiB still hold */
#define STREAMS_MEMORY   ((size_t)(STREAMS_SLOTS + STREAMS_SPARE) * STREAMS_CHUNK)
#define STREAMS_WINDOW   16u
#define STREAMS_PAUSE_MS 20
#define STREAMS_NEVER    INT64_MAX

enum stream_name {
    STREAM_OUT,
    STREAM_ERR,
    STREAMS,
};

/* One that was closed and is not yet taken. */
struct chunk {
    const uint8_t *bytes;
    uint32_t length;
    uint32_t index;
    uint32_t request; /* under which it is under way; 0: not */
    bool sent;        /* was ever on its way */
    enum stream_name stream;
};

struct stream {
    size_t slots;  /* that it has, with chunks that are not taken */
    uint8_t *open; /* the slot that is being filled, or NULL */
    uint32_t used; /* bytes in it */
    int64_t since; /* when the first of them came */
    bool closed;
    uint32_t next_index;
    uint64_t kept, dropped;
    struct digest digest;
};

struct streams {
    struct stream stream[STREAMS];
    uint8_t *free_slots[STREAMS_SLOTS + STREAMS_SPARE];
    size_t free_count;
    struct chunk chunks[STREAMS_SLOTS + STREAMS_SPARE]; /* in the order in which they were closed */
    size_t chunk_count;
    size_t under_way;
    uint32_t stale[STREAMS_WINDOW]; /* requests from before streams_resume, not yet answered */
    size_t stale_count;
    uint64_t left; /* of the limit */
    bool sending, ended;
    uint8_t scratch[65536]; /* what is beyond the limit is read to here */
};

/* Begins; `memory` is the caller's, STREAMS_MEMORY bytes, and lives as long. */
void streams_begin(struct streams *streams, uint8_t *memory, uint64_t limit);

/*
 * Where the next bytes of a stream are to be read to, and how many. 0: no room, do not read.
 * The next call for this stream is streams_add, or streams_room again.
 */
size_t streams_room(struct streams *streams, enum stream_name name, uint8_t **at);

/* `length` bytes, at most what streams_room said, have been read there. */
void streams_add(struct streams *streams, enum stream_name name, size_t length, int64_t now_ms);

/* The stream is at its end. May be called again. */
void streams_close(struct streams *streams, enum stream_name name);

/* The command has ended: the spare slots may be used. */
void streams_end(struct streams *streams);

/* Nothing is sent any more, what is kept is thrown away, and what still comes is dropped. */
void streams_give_up(struct streams *streams);

/*
 * The next chunk to send now, or NULL. Then streams_sent must be called with the number of the
 * request, which is not 0.
 */
struct chunk *streams_next(struct streams *streams, int64_t now_ms);
void streams_sent(struct streams *streams, struct chunk *chunk, uint32_t request);

/* When streams_next will have a chunk that it has not now, unless more comes; or STREAMS_NEVER. */
int64_t streams_due_ms(const struct streams *streams);

/*
 * A request was answered: the console has its chunk for good, or it was refused. Requests from
 * before streams_resume are known too. False: no such request is unanswered.
 */
bool streams_taken(struct streams *streams, uint32_t request);
bool streams_refused(struct streams *streams, uint32_t request);

/*
 * Goes on from these numbers: what was sent before them is taken, all else is sent (again). Numbers
 * that were never sent are not believed.
 */
void streams_resume(struct streams *streams, uint32_t out_next, uint32_t err_next);

/* Whether more was read than the limit allows. */
bool streams_overflowed(const struct streams *streams);

/* Whether both streams are closed; whether, besides, everything is taken. */
bool streams_closed(const struct streams *streams);
bool streams_done(const struct streams *streams);

#endif

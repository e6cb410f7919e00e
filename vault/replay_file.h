/*
 * The two files of the replay store: the log of records, and the anchor (replay_reader.h).
 *
 * System calls: openat, fstat, pread64, pwrite64, fsync, fdatasync, close, and those of
 * state_folder.h. One process and one thread at a time.
 */
#ifndef CLOISTER_VAULT_REPLAY_FILE_H
#define CLOISTER_VAULT_REPLAY_FILE_H

#include <sys/types.h>

#include "replay_reader.h"
#include "state_folder.h"

#define REPLAY_FILE_LOG    "commands"
#define REPLAY_FILE_ANCHOR "commands.anchor"

enum replay_file_outcome {
    REPLAY_FILE_GOOD = 0,
    REPLAY_FILE_MISSING,  /* there is neither log nor anchor */
    REPLAY_FILE_NEW,      /* an empty store's log, whose anchor was not written yet */
    REPLAY_FILE_DAMAGED,  /* `trouble` says how */
    REPLAY_FILE_REPLACED, /* it is not the file any more that was opened; `trouble` says how */
};

struct replay_file {
    int folder;
    struct state_file log, anchor;
    struct replay_anchor at; /* the log as it stands, every record of it durable */
    int place;               /* of the anchor, to be written next */
    bool uncertain;          /* a write failed half-way: opening it anew tells what is there */
    bool failed;             /* `uncertain` when it was closed, and not opened since */
    const char *trouble;
};

/* Prepares `file`; `folder` (state_folder.h) stays the caller's. Nothing is open. */
void replay_file_begin(struct replay_file *file, int folder);

/* Closes what is open. */
void replay_file_close(struct replay_file *file);

/*
 * Reads the store into `state`, and finishes what a crash has left: the anchor is brought up to the
 * log. Returns an outcome, or -errno where something could not be read or written. Whatever is not
 * REPLAY_FILE_GOOD leaves both files as they are, closed, and the state empty.
 */
int replay_file_open(struct replay_file *file, struct replay_state *state);

/*
 * Appends one record (kind, time_ms and the kind's members; the rest is filled in), durably.
 * Returns 0 when it counts; REPLAY_FILE_REPLACED; or -errno: then it does not count, unless
 * file->uncertain, when opening it anew will tell.
 */
int replay_file_append(struct replay_file *file, struct replay_record *record);

/*
 * Writes the store anew from `state`, in one step, as the next generation of the open one. 0,
 * REPLAY_FILE_REPLACED or -errno; after an error that left file->uncertain, opening it anew tells
 * which of the two is there.
 */
int replay_file_rewrite(struct replay_file *file, struct replay_state *state);

/*
 * Makes a store from `state`, where no log is, or the log of REPLAY_FILE_NEW. Open afterwards. 0 or
 * -errno.
 */
int replay_file_make(struct replay_file *file, struct replay_state *state);

/*
 * Reads what is left of a log that replay_file_open refuses: calls `keep` for each record that is
 * whole in itself. Returns 0 or -errno.
 */
int replay_file_salvage(int folder, void (*keep)(void *context, const struct replay_record *record),
                        void *context);

#endif

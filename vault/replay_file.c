#include "replay_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK 64 /* records that are read at a time */

void replay_file_begin(struct replay_file *file, int folder)
{
    *file = (struct replay_file){.folder = folder, .log.fd = -1, .anchor.fd = -1};
}

void replay_file_close(struct replay_file *file)
{
    state_file_close(&file->log);
    state_file_close(&file->anchor);
}

static int damaged(struct replay_file *file, const char *how)
{
    file->trouble = how;
    return REPLAY_FILE_DAMAGED;
}

/* ---------------------------------------------------------------- opening */

static int open_one(struct replay_file *file, const char *name, struct state_file *one)
{
    int error = state_file_open(file->folder, name, one);
    if (error == -ENOENT)
        return REPLAY_FILE_MISSING;
    return error == -EPERM ? damaged(file, "a file that is not the vault's alone") : error;
}

static int open_both(struct replay_file *file)
{
    int log = open_one(file, REPLAY_FILE_LOG, &file->log);
    if (log != 0 && log != REPLAY_FILE_MISSING)
        return log;
    int anchor = open_one(file, REPLAY_FILE_ANCHOR, &file->anchor);
    if (anchor != 0 && anchor != REPLAY_FILE_MISSING)
        return anchor;
    if (log)
        return anchor ? REPLAY_FILE_MISSING : damaged(file, "the log is missing");
    if (anchor)
        return REPLAY_FILE_NEW;
    return file->anchor.size == REPLAY_ANCHOR_SIZE ? 0 : damaged(file, "the anchor was altered");
}

/* The last record of a log may be one whose writing was interrupted: it never counted. */
static bool is_unfinished(const struct replay_reader *reader, const uint8_t *record,
                          const struct replay_anchors *anchors)
{
    struct replay_record none;
    return anchors && reader->at.count == anchors->newest.count &&
           reader->at.generation == anchors->newest.generation &&
           !replay_record_decode(&none, record);
}

static int take_all(struct replay_file *file, struct replay_reader *reader,
                    const struct replay_anchors *anchors)
{
    static uint8_t bytes[CHUNK * REPLAY_RECORD_SIZE];
    uint64_t records = (uint64_t)file->log.size / REPLAY_RECORD_SIZE;
    for (uint64_t i = 0; i < records; i++) {
        uint64_t left = records - i;
        const uint8_t *record = bytes + i % CHUNK * REPLAY_RECORD_SIZE;
        size_t length = (size_t)(left < CHUNK ? left : CHUNK) * REPLAY_RECORD_SIZE;
        int error = i % CHUNK ? 0
                              : state_file_read_at(&file->log, bytes, length,
                                                   (off_t)(i * REPLAY_RECORD_SIZE));
        if (error)
            return error;
        if (left == 1 && is_unfinished(reader, record, anchors))
            return 0;
        const char *wrong = replay_reader_take(reader, record);
        if (wrong)
            return damaged(file, wrong);
    }
    return 0;
}

/* Writes the anchor's next place, durably, for a log that is. */
static int write_anchor(struct replay_file *file)
{
    uint8_t bytes[REPLAY_ANCHOR_PLACE];
    int error = state_file_changed(&file->log, &file->at.changed);
    if (error)
        return error;
    replay_anchor_encode(bytes, &file->at);
    ssize_t n =
        pwrite(file->anchor.fd, bytes, sizeof bytes, (off_t)file->place * REPLAY_ANCHOR_STRIDE);
    if (n != (ssize_t)sizeof bytes)
        return n < 0 ? -errno : -EIO;
    if (fdatasync(file->anchor.fd) < 0)
        return -errno;
    file->place = !file->place;
    return 0;
}

/* What was read counts from here on, even if nobody had synced it. */
static int catch_up(struct replay_file *file)
{
    return fsync(file->log.fd) < 0 ? -errno : write_anchor(file);
}

/*
 * Older copies of both files fit together. But the log that is put there is changed by that, at
 * another time than the one that its anchor knows. So it is by what interrupts the writing of a
 * record: then there is a part of that, or it was this very process.
 */
static int check_untouched(struct replay_file *file, const struct replay_anchors *anchors)
{
    uint64_t changed;
    int error = state_file_changed(&file->log, &changed);
    bool unfinished = (uint64_t)file->log.size > file->at.count * REPLAY_RECORD_SIZE;
    if (error || changed == anchors->newest.changed || unfinished)
        return error;
    return file->failed ? catch_up(file) : damaged(file, "somebody else wrote the log");
}

static int settle(struct replay_file *file, const struct replay_reader *reader,
                  const struct replay_anchors *anchors)
{
    file->place = anchors->place;
    switch (replay_reader_settle(reader, anchors)) {
    case REPLAY_AT_ANCHOR:
        return check_untouched(file, anchors);
    case REPLAY_AHEAD:
        return catch_up(file);
    case REPLAY_CUT:
        return damaged(file, "the log is cut");
    case REPLAY_OLDER:
        return damaged(file, "the log is older than it was");
    case REPLAY_FOREIGN:
        break;
    }
    return damaged(file, "the log and its anchor do not belong together");
}

static int read_anchors(struct replay_file *file, struct replay_anchors *anchors)
{
    uint8_t bytes[REPLAY_ANCHOR_SIZE];
    int error = state_file_read_at(&file->anchor, bytes, sizeof bytes, 0);
    if (error)
        return error;
    return replay_anchors_decode(anchors, bytes) ? 0 : damaged(file, "the anchor was altered");
}

static int read_both(struct replay_file *file, struct replay_state *state)
{
    struct replay_reader reader;
    struct replay_anchors anchors;
    replay_reader_begin(&reader, state);
    int wrong = open_both(file);
    bool is_new = wrong == REPLAY_FILE_NEW;
    if (wrong && !is_new)
        return wrong;
    wrong = is_new ? 0 : read_anchors(file, &anchors);
    if (!wrong)
        wrong = take_all(file, &reader, is_new ? NULL : &anchors);
    if (wrong)
        return wrong;
    file->at = reader.at;
    if (is_new)
        return replay_reader_is_new(&reader) ? REPLAY_FILE_NEW
                                             : damaged(file, "the anchor is missing");
    if ((uint64_t)file->log.size - reader.at.count * REPLAY_RECORD_SIZE > REPLAY_RECORD_SIZE)
        return damaged(file, "the log is longer than it was");
    return settle(file, &reader, &anchors);
}

int replay_file_open(struct replay_file *file, struct replay_state *state)
{
    bool failed = file->uncertain || file->failed;
    replay_file_close(file);
    replay_file_begin(file, file->folder);
    file->failed = failed;
    int outcome = read_both(file, state);
    if (outcome != REPLAY_FILE_GOOD) {
        replay_file_close(file);
        replay_state_clear(state);
    } else {
        file->failed = false;
    }
    return outcome;
}

/* ---------------------------------------------------------------- appending */

/* Notices a file that was deleted, renamed, written by somebody else, or has another in its place.
 */
static int check_in_place(struct replay_file *file)
{
    int log = state_file_in_place(file->folder, REPLAY_FILE_LOG, &file->log);
    int anchor = state_file_in_place(file->folder, REPLAY_FILE_ANCHOR, &file->anchor);
    if (log < 0 || anchor < 0)
        return log < 0 ? log : anchor;
    if (log && anchor)
        return 0;
    file->trouble = log ? "the anchor was replaced or removed while it was in use"
                        : "the log was replaced or removed while it was in use";
    return REPLAY_FILE_REPLACED;
}

/* A full disk leaves nothing, or a part that the next record will overwrite. */
static int write_record(struct replay_file *file, const uint8_t bytes[REPLAY_RECORD_SIZE])
{
    off_t at = (off_t)(file->at.count * REPLAY_RECORD_SIZE);
    ssize_t n = pwrite(file->log.fd, bytes, REPLAY_RECORD_SIZE, at);
    if (n == REPLAY_RECORD_SIZE) {
        file->log.size = at + REPLAY_RECORD_SIZE;
        return 0;
    }
    int error = n < 0 ? -errno : -ENOSPC;
    file->uncertain |= state_file_measure(&file->log) < 0;
    return error;
}

static bool leaves_file_alone(int error)
{
    return error == -ENOSPC || error == -EDQUOT || error == -EROFS || error == -EFBIG;
}

int replay_file_append(struct replay_file *file, struct replay_record *record)
{
    uint8_t bytes[REPLAY_RECORD_SIZE];
    struct replay_anchor next = {.generation = file->at.generation, .count = file->at.count + 1};
    int error = file->uncertain ? -EIO : check_in_place(file);
    if (error)
        return error;
    record->generation = file->at.generation;
    record->index = file->at.count;
    memcpy(record->previous, file->at.head, REPLAY_DIGEST_SIZE);
    replay_record_encode(bytes, next.head, record);
    error = write_record(file, bytes);
    if (error) {
        file->uncertain |= !leaves_file_alone(error);
        if (!file->uncertain)
            write_anchor(file); /* the log's time of change is another one all the same */
        return error;
    }
    if (fsync(file->log.fd) < 0) /* its time of change too */
        error = -errno;
    file->at = next;
    if (!error)
        error = write_anchor(file);
    file->uncertain |= error != 0;
    return error;
}

/* ---------------------------------------------------------------- making and rewriting */

struct draft {
    struct replay_anchor at;
    uint8_t previous[REPLAY_DIGEST_SIZE];
    uint8_t *bytes;
    size_t capacity; /* records */
    int error;
};

static void draft_record(void *context, struct replay_record *record)
{
    struct draft *draft = context;
    if (draft->at.count == draft->capacity && !draft->error) {
        draft->capacity = draft->capacity ? 2 * draft->capacity : 16;
        uint8_t *grown = reallocarray(draft->bytes, draft->capacity, REPLAY_RECORD_SIZE);
        draft->error = grown ? 0 : -ENOMEM;
        draft->bytes = grown ? grown : draft->bytes;
    }
    if (draft->error)
        return;
    record->generation = draft->at.generation;
    record->index = draft->at.count;
    memcpy(record->previous, draft->previous, REPLAY_DIGEST_SIZE);
    replay_record_encode(draft->bytes + draft->at.count * REPLAY_RECORD_SIZE, draft->previous,
                         record);
    memcpy(draft->at.head, draft->previous, REPLAY_DIGEST_SIZE);
    draft->at.count++;
}

/* Writes the log of `state`, which follows the one of `follows`, in place of what is there. */
static int write_log(struct replay_file *file, struct replay_state *state,
                     const struct replay_anchor *follows)
{
    struct draft draft = {.at.generation = follows->generation + 1};
    memcpy(draft.previous, follows->head, REPLAY_DIGEST_SIZE);
    state->begin.follows = follows->count;
    replay_state_snapshot(state, draft_record, &draft);
    int error = draft.error;
    if (!error)
        error = state_file_write(file->folder, REPLAY_FILE_LOG, draft.bytes,
                                 (size_t)draft.at.count * REPLAY_RECORD_SIZE);
    free(draft.bytes);
    if (error)
        return error;
    state_file_close(&file->log);
    error = state_file_open(file->folder, REPLAY_FILE_LOG, &file->log);
    file->at = draft.at;
    return error;
}

int replay_file_rewrite(struct replay_file *file, struct replay_state *state)
{
    const struct replay_anchor follows = file->at;
    int error = file->uncertain ? -EIO : check_in_place(file);
    if (error)
        return error;
    error = write_log(file, state, &follows);
    if (!error)
        error = write_anchor(file);
    file->uncertain = error != 0;
    return error;
}

int replay_file_make(struct replay_file *file, struct replay_state *state)
{
    const struct replay_anchor nothing = {0};
    uint8_t anchor[REPLAY_ANCHOR_SIZE] = {0};
    replay_file_close(file);
    replay_file_begin(file, file->folder);
    int error = write_log(file, state, &nothing);
    if (error)
        return error;
    error = state_file_changed(&file->log, &file->at.changed);
    if (error)
        return error;
    replay_anchor_encode(anchor, &file->at);
    memcpy(anchor + REPLAY_ANCHOR_STRIDE, anchor, REPLAY_ANCHOR_PLACE);
    error = state_file_write(file->folder, REPLAY_FILE_ANCHOR, anchor, sizeof anchor);
    if (!error)
        error = state_file_open(file->folder, REPLAY_FILE_ANCHOR, &file->anchor);
    if (error)
        replay_file_close(file);
    return error;
}

/* ---------------------------------------------------------------- salvage */

int replay_file_salvage(int folder, void (*keep)(void *context, const struct replay_record *record),
                        void *context)
{
    uint8_t bytes[REPLAY_RECORD_SIZE];
    struct replay_record record;
    struct state_file log;
    int error = state_file_open(folder, REPLAY_FILE_LOG, &log);
    if (error)
        return error == -ENOENT ? 0 : error;
    for (off_t at = 0; log.size - at >= REPLAY_RECORD_SIZE && !error; at += REPLAY_RECORD_SIZE) {
        error = state_file_read_at(&log, bytes, sizeof bytes, at);
        if (!error && replay_record_decode(&record, bytes))
            keep(context, &record);
    }
    state_file_close(&log);
    return error;
}

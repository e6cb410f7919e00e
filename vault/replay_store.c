#include "replay_store.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "key_files.h"
#include "log.h"

#define RETRY_INTERVAL_MS 5000

#define SPARE_RECORDS 4096

int replay_store_begin(struct replay_store *store, int folder, uint64_t now_ms)
{
    memset(store, 0, sizeof *store);
    store->folder = folder;
    replay_file_begin(&store->file, folder);
    ration_begin(&store->retries, 1, RETRY_INTERVAL_MS, now_ms);
    snprintf(store->trouble, sizeof store->trouble, "the replay store was not opened");
    return replay_state_new(&store->replay);
}

void replay_store_end(struct replay_store *store)
{
    replay_file_close(&store->file);
    store->replay = replay_state_free(store->replay);
    store->state = REPLAY_STORE_CLOSED;
}

bool replay_store_usable(const struct replay_store *store)
{
    return store->state == REPLAY_STORE_READY;
}

const char *replay_store_trouble(const struct replay_store *store)
{
    return store->state == REPLAY_STORE_READY ? "" : store->trouble;
}

const struct replay_state *replay_store_known(const struct replay_store *store)
{
    return store->replay;
}

/* ---------------------------------------------------------------- troubles */

__attribute__((format(printf, 3, 4))) static void
fail(struct replay_store *store, enum replay_store_state state, const char *format, ...)
{
    char was[REPLAY_TROUBLE_SIZE];
    snprintf(was, sizeof was, "%s", replay_store_trouble(store));
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(store->trouble, sizeof store->trouble, format, arguments);
    va_end(arguments);
    store->state = state;
    replay_file_close(&store->file);
    if (strcmp(was, store->trouble) != 0)
        log_error("every command is refused: %s", store->trouble);
}

static void lose(struct replay_store *store, const char *how)
{
    fail(store, REPLAY_STORE_LOST,
         "the replay store: %s (`cloister commands reset` makes a new one)", how);
}

static void shut(struct replay_store *store, int error)
{
    fail(store, REPLAY_STORE_CLOSED, "the replay store cannot be read or written: %s",
         strerror(-error));
}

/* ---------------------------------------------------------------- opening */

/* 1 if nothing says that this machine ever had a key, 0 if something does, or -errno. */
static int is_fresh(int folder)
{
    static const char *const traces[] = {KEY_FILES_SECRET, KEY_FILES_KEY, KEY_FILES_MARKER};
    for (size_t i = 0; i < sizeof traces / sizeof traces[0]; i++) {
        int there = state_file_exists(folder, traces[i]);
        if (there)
            return there < 0 ? there : 0;
    }
    return 1;
}

static int make_new(struct replay_store *store, uint64_t epoch_ms, uint64_t unix_ms)
{
    struct replay_state *replay = store->replay;
    replay->begin = (struct replay_begin){.epoch_ms = epoch_ms};
    randombytes_buf(replay->begin.store, sizeof replay->begin.store);
    replay->high_water_ms = unix_ms;
    return replay_file_make(&store->file, replay);
}

/* When the log is much longer than twice what it was when it was written anew. */
static void plan_rewrite(struct replay_store *store)
{
    store->rewrite_at = 2 * store->replay->begin.records + SPARE_RECORDS;
}

static void serve(struct replay_store *store)
{
    plan_rewrite(store);
    store->state = REPLAY_STORE_READY;
    store->loaded = true;
    store->seen_ms = store->replay->high_water_ms;
}

/* A fresh installation, or one whose making was interrupted. */
static void make_first(struct replay_store *store, uint64_t unix_ms)
{
    int fresh = is_fresh(store->folder);
    if (fresh == 0) {
        lose(store, "it is missing");
        return;
    }
    replay_state_clear(store->replay);
    int error = fresh < 0 ? fresh : make_new(store, unix_ms, unix_ms);
    if (error)
        shut(store, error);
    else
        serve(store);
}

void replay_store_open(struct replay_store *store, uint64_t unix_ms)
{
    uint64_t seen_ms = store->seen_ms;
    store->loaded = false;
    int outcome = replay_file_open(&store->file, store->replay);
    switch (outcome) {
    case REPLAY_FILE_GOOD:
        serve(store);
        store->seen_ms = seen_ms > store->seen_ms ? seen_ms : store->seen_ms;
        replay_store_clock(store, unix_ms, REPLAY_TIME_STEP_MS);
        break;
    case REPLAY_FILE_MISSING:
    case REPLAY_FILE_NEW:
        make_first(store, unix_ms);
        break;
    default:
        if (outcome < 0)
            shut(store, outcome);
        else
            lose(store, store->file.trouble);
    }
}

bool replay_store_comes_first(const struct replay_store *store)
{
    return store->state == REPLAY_STORE_CLOSED && is_fresh(store->folder) != 0;
}

void replay_store_retry(struct replay_store *store, uint64_t now_ms, uint64_t unix_ms)
{
    if (store->state == REPLAY_STORE_CLOSED && ration_take(&store->retries, now_ms))
        replay_store_open(store, unix_ms);
}

/* ---------------------------------------------------------------- writing */

/* What was written counts, whether this succeeds or not. */
static void rewrite_if_large(struct replay_store *store, uint64_t unix_ms)
{
    if (store->file.at.count < store->rewrite_at)
        return;
    int error = replay_file_rewrite(&store->file, store->replay);
    if (error == REPLAY_FILE_REPLACED) {
        lose(store, store->file.trouble);
        return;
    }
    plan_rewrite(store);
    if (error) {
        log_error("the replay store cannot be written anew: %s", strerror(-error));
        replay_store_open(store, unix_ms);
        store->rewrite_at = store->file.at.count + SPARE_RECORDS;
    }
}

/* Appends the record, and only then makes it part of what is known. */
static int append(struct replay_store *store, struct replay_record *record, uint64_t unix_ms)
{
    if (store->state != REPLAY_STORE_READY)
        return -EIO;
    record->index = store->file.at.count;
    record->time_ms = unix_ms > store->seen_ms ? unix_ms : store->seen_ms;
    if (replay_state_check(store->replay, record))
        return -EINVAL;
    int error = replay_file_append(&store->file, record);
    if (error == REPLAY_FILE_REPLACED) {
        lose(store, store->file.trouble);
        return -EIO;
    }
    if (error) {
        log_error("the replay store cannot be written: %s", strerror(-error));
        if (store->file.uncertain)
            shut(store, error);
        return error;
    }
    replay_state_apply(store->replay, record);
    store->seen_ms = record->time_ms;
    rewrite_if_large(store, unix_ms);
    return 0;
}

bool replay_store_clock(struct replay_store *store, uint64_t unix_ms, uint64_t step_ms)
{
    if (store->seen_ms > unix_ms && store->seen_ms - unix_ms > REPLAY_CLOCK_SLACK_MS)
        return false;
    if (unix_ms > store->seen_ms)
        store->seen_ms = unix_ms;
    struct replay_record record = {.kind = REPLAY_TIME};
    if (store->state == REPLAY_STORE_READY &&
        store->seen_ms - store->replay->high_water_ms >= step_ms)
        append(store, &record, unix_ms);
    return true;
}

/* How long a console has to collect a receipt, once there is no space for another one. */
#define COLLECT_MS UINT64_C(604800000)

void replay_store_make_room(struct replay_store *store, uint64_t unix_ms)
{
    struct replay_state *replay = store->replay;
    if (replay->id_count == REPLAY_IDS_HELD_MAX)
        replay_state_prune(replay);
    if (replay->command_count < REPLAY_WAITING_MAX)
        return;
    const struct replay_command *oldest = &replay->commands[0];
    if (oldest->phase != ipc_COMMAND_ENDED || unix_ms < oldest->receipt.ended_ms ||
        unix_ms - oldest->receipt.ended_ms < COLLECT_MS)
        return;
    uint8_t token[ORDER_TOKEN_SIZE];
    memcpy(token, oldest->receipt.token, sizeof token);
    log_error("a receipt that no console has asked for in a week is given up");
    replay_store_deliver(store, token, unix_ms);
}

int replay_store_accept(struct replay_store *store, const struct replay_command *command,
                        uint64_t unix_ms)
{
    struct replay_record record = {.kind = REPLAY_ACCEPTED, .command = *command};
    record.command.receipt.accepted_ms = unix_ms;
    return append(store, &record, unix_ms);
}

int replay_store_start(struct replay_store *store, const uint8_t token[ORDER_TOKEN_SIZE],
                       uint64_t unix_ms)
{
    struct replay_record record = {.kind = REPLAY_STARTED};
    memcpy(record.command.receipt.token, token, ORDER_TOKEN_SIZE);
    record.command.receipt.started_ms = unix_ms;
    return append(store, &record, unix_ms);
}

int replay_store_finish(struct replay_store *store, const struct receipt *receipt, uint64_t unix_ms)
{
    struct replay_record record = {.kind = REPLAY_ENDED, .command.receipt = *receipt};
    return append(store, &record, unix_ms);
}

int replay_store_deliver(struct replay_store *store, const uint8_t token[ORDER_TOKEN_SIZE],
                         uint64_t unix_ms)
{
    const struct replay_command *command = replay_state_find(store->replay, token);
    struct replay_record record = {.kind = REPLAY_DELIVERED};
    if (!command || command->phase != ipc_COMMAND_ENDED)
        return 0;
    memcpy(record.token, token, ORDER_TOKEN_SIZE);
    return append(store, &record, unix_ms);
}

int replay_store_revoke(struct replay_store *store, const char *kid, uint64_t unix_ms)
{
    const struct replay_key *known = replay_state_key(store->replay, kid);
    struct replay_record record = {.kind = REPLAY_KEY};
    if (known && known->revoked)
        return 0;
    if (!known && store->replay->key_count == REPLAY_KEYS_MAX)
        return -ENOSPC;
    if (known)
        record.key = *known;
    else
        snprintf(record.key.kid, sizeof record.key.kid, "%s", kid);
    record.key.revoked = true;
    return append(store, &record, unix_ms);
}

/* ---------------------------------------------------------------- reset */

/* The row of that key, or NULL if there is no space for it. */
static struct replay_key *keep_key(struct replay_state *into, const char *kid)
{
    for (size_t i = 0; i < into->key_count; i++)
        if (strcmp(into->keys[i].kid, kid) == 0)
            return &into->keys[i];
    if (into->key_count == REPLAY_KEYS_MAX)
        return NULL;
    struct replay_key *key = &into->keys[into->key_count++];
    *key = (struct replay_key){0};
    snprintf(key->kid, sizeof key->kid, "%s", kid);
    return key;
}

static void keep_revoked(void *context, const struct replay_record *record)
{
    bool revoked = record->kind == REPLAY_KEY && record->key.revoked;
    struct replay_key *key = revoked ? keep_key(context, record->key.kid) : NULL;
    if (key)
        key->revoked = true;
}

/* The epoch alone would be as right as the clock is now. */
static void keep_sequence(void *context, const struct replay_record *record)
{
    const struct receipt *receipt = &record->command.receipt;
    if (record->kind != REPLAY_KEY && record->kind != REPLAY_ACCEPTED)
        return;
    bool whole = record->kind == REPLAY_KEY;
    struct replay_key *key = keep_key(context, whole ? record->key.kid : receipt->kid);
    uint64_t seq = whole ? record->key.highest : receipt->seq;
    if (key && seq > key->highest)
        key->highest = seq;
}

/* What a store that cannot be opened still tells: revocations first, should there be many keys. */
static void salvage(struct replay_store *store)
{
    replay_state_clear(store->replay);
    int error = replay_file_salvage(store->folder, keep_revoked, store->replay);
    if (!error)
        error = replay_file_salvage(store->folder, keep_sequence, store->replay);
    if (error)
        log_error("the old replay store cannot be read: %s; revocations may be lost",
                  strerror(-error));
}

static int set_aside(struct replay_store *store, const char *name, uint64_t unix_ms)
{
    char aside[STATE_NAME_MAX];
    int error = state_file_set_aside(store->folder, name, unix_ms, aside);
    if (error == -ENOENT)
        return 0;
    if (!error)
        log_notice("the old replay store's file was set aside as %s", aside);
    return error;
}

int replay_store_reset(struct replay_store *store, uint64_t unix_ms)
{
    /* The second that has begun belongs to the old store. */
    uint64_t epoch_ms = (unix_ms / 1000 + 1) * 1000;
    if (!store->loaded)
        salvage(store);
    replay_file_close(&store->file);
    int error = set_aside(store, REPLAY_FILE_ANCHOR, unix_ms);
    if (!error)
        error = set_aside(store, REPLAY_FILE_LOG, unix_ms);
    if (!error)
        error = make_new(store, epoch_ms, unix_ms);
    if (!error)
        serve(store);
    else /* what is in memory stays there for another reset */
        fail(store, REPLAY_STORE_LOST, "the replay store could not be made anew: %s",
             strerror(-error));
    return error;
}

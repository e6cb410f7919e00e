#include "queue.h"

#include <errno.h>
#include <string.h>

#include "bundle_file.h"

#define COLUMNS                                                                                    \
    "c.id, c.machine, c.token, c.state, c.reason, c.receipt IS NOT NULL, c.held, c.held_ms,"       \
    " c.wrong_receipt, c.pushed_ms, c.sent_ms, c.decided_ms, c.ended_ms, c.stdout_chunks,"         \
    " c.stderr_chunks, c.stored, m.name"
#define SELECT "SELECT " COLUMNS " FROM commands c LEFT JOIN machines m ON m.id = c.machine "

static const char *const state_words[] = {
    [QUEUE_QUEUED] = "queued",   [QUEUE_SENT] = "sent", [QUEUE_RUNNING] = "running",
    [QUEUE_REFUSED] = "refused", [QUEUE_DONE] = "done",
};

const char *queue_state_word(enum queue_state state)
{
    return state_words[state];
}

bool queue_finished(enum queue_state state)
{
    return state == QUEUE_REFUSED || state == QUEUE_DONE;
}

bool queue_token_id(uint8_t id[16], const char *token, size_t length)
{
    uint8_t digest[32];
    if (!bundle_file_digest(digest, (const uint8_t *)token, length))
        return false;
    memcpy(id, digest, 16);
    return true;
}

static int read_row(sqlite3_stmt *s, struct queue_item *out)
{
    char word[16];
    memset(out, 0, sizeof(*out));
    out->row = sqlite3_column_int64(s, 0);
    store_column_text(s, 3, word, sizeof(word));
    if (!store_column_blob(s, 1, out->machine, sizeof(out->machine)) ||
        !store_column_blob(s, 2, out->token, sizeof(out->token)))
        return -EIO;
    while (strcmp(word, state_words[out->state]) != 0) {
        if (out->state == QUEUE_DONE)
            return -EIO;
        out->state++;
    }
    store_column_text(s, 4, out->reason, sizeof(out->reason));
    out->has_receipt = store_column_u64(s, 5) != 0;
    store_column_text(s, 6, out->held, sizeof(out->held));
    out->held_time_ms = store_column_u64(s, 7);
    store_column_text(s, 8, out->wrong_receipt, sizeof(out->wrong_receipt));
    out->pushed_time_ms = store_column_u64(s, 9);
    out->sent_time_ms = store_column_u64(s, 10);
    out->decided_time_ms = store_column_u64(s, 11);
    out->ended_time_ms = store_column_u64(s, 12);
    out->place.chunks[0] = (uint32_t)store_column_u64(s, 13);
    out->place.chunks[1] = (uint32_t)store_column_u64(s, 14);
    out->place.size = store_column_u64(s, 15);
    store_column_text(s, 16, out->machine_name, sizeof(out->machine_name));
    return 0;
}

static int known(struct store *store, const uint8_t machine[32], const uint8_t id[16], bool again)
{
    sqlite3_stmt *s =
        store_prepare(store, "SELECT 1 FROM commands WHERE token = ?1 AND machine = ?2"
                             " AND (NOT ?3 OR state IN ('queued', 'sent', 'running')) LIMIT 1");
    store_bind_blob(s, 1, id, 16);
    store_bind_blob(s, 2, machine, 32);
    store_bind_u64(s, 3, again);
    int result = store_step(s);
    store_done(s);
    return result == 1 ? QUEUE_KNOWN : result;
}

int queue_push(struct store *store, const uint8_t machine[32], const uint8_t id[16],
               const char *token, size_t length, bool again, uint64_t now_ms)
{
    int result = known(store, machine, id, again);
    if (result)
        return result;
    sqlite3_stmt *s =
        store_prepare(store, "INSERT OR IGNORE INTO command_tokens(id, token) VALUES(?, ?)");
    store_bind_blob(s, 1, id, 16);
    store_bind_blob(s, 2, token, length);
    result = store_run(s);
    if (result)
        return result;
    s = store_prepare(store, "INSERT INTO commands(machine, token, pushed_ms) VALUES(?, ?, ?)");
    store_bind_blob(s, 1, machine, 32);
    store_bind_blob(s, 2, id, 16);
    store_bind_u64(s, 3, now_ms);
    return store_run(s);
}

int queue_waiting(struct store *store, const uint8_t machine[32], bool under_way,
                  struct queue_item *items, unsigned capacity, unsigned *count)
{
    sqlite3_stmt *s = store_prepare(
        store, under_way ? SELECT
                   "WHERE c.machine = ? AND c.state IN ('sent', 'running') ORDER BY c.id"
                         : SELECT "WHERE c.machine = ? AND c.state = 'queued' ORDER BY c.id");
    store_bind_blob(s, 1, machine, 32);
    int result = 0;
    *count = 0;
    while (*count < capacity && (result = store_step(s)) == 1) {
        result = read_row(s, &items[*count]);
        if (result)
            break;
        ++*count;
    }
    store_done(s);
    return result < 0 ? result : 0;
}

int queue_token(struct store *store, const uint8_t id[16], char *out, size_t *length)
{
    sqlite3_stmt *s = store_prepare(store, "SELECT token FROM command_tokens WHERE id = ?");
    store_bind_blob(s, 1, id, 16);
    int result = store_step(s);
    if (result == 1) {
        int n = sqlite3_column_bytes(s, 0);
        const void *data = sqlite3_column_blob(s, 0);
        result = data && n > 0 && n <= QUEUE_TOKEN_MAX ? 0 : -EIO;
        if (!result) {
            memcpy(out, data, (size_t)n);
            *length = (size_t)n;
        }
    } else if (result == 0) {
        result = QUEUE_UNKNOWN;
    }
    store_done(s);
    return result;
}

int queue_receipt(struct store *store, int64_t row, char out[MESSAGE_RECEIPT_MAX + 1])
{
    sqlite3_stmt *s =
        store_prepare(store, "SELECT receipt FROM commands WHERE id = ? AND receipt IS NOT NULL");
    store_bind_u64(s, 1, (uint64_t)row);
    int result = store_step(s);
    if (result == 1) {
        store_column_text(s, 0, out, MESSAGE_RECEIPT_MAX + 1);
        result = 0;
    } else if (result == 0) {
        result = QUEUE_UNKNOWN;
    }
    store_done(s);
    return result;
}

/* Runs an update of one row. */
static int change(struct store *store, sqlite3_stmt *s)
{
    int result = store_run(s);
    return result ? result : store_changes(store) == 1 ? 0 : QUEUE_UNKNOWN;
}

/* Parameters: 1 the row, 2 the time. */
static int change_at(struct store *store, const char *sql, int64_t row, uint64_t now_ms)
{
    sqlite3_stmt *s = store_prepare(store, sql);
    store_bind_u64(s, 1, (uint64_t)row);
    store_bind_u64(s, 2, now_ms);
    return change(store, s);
}

int queue_sent(struct store *store, int64_t row, uint64_t now_ms)
{
    return change_at(store,
                     "UPDATE commands SET state = 'sent', sent_ms = ?2, held = ''"
                     " WHERE id = ?1 AND state = 'queued'",
                     row, now_ms);
}

int queue_unsent(struct store *store, int64_t row)
{
    sqlite3_stmt *s = store_prepare(store, "UPDATE commands SET state = 'queued', held = ''"
                                           " WHERE id = ? AND state = 'sent'");
    store_bind_u64(s, 1, (uint64_t)row);
    return change(store, s);
}

int queue_running(struct store *store, int64_t row, uint64_t now_ms)
{
    return change_at(store,
                     "UPDATE commands SET state = 'running', held = '',"
                     " decided_ms = coalesce(decided_ms, ?2), reason = 'accepted'"
                     " WHERE id = ?1 AND state IN ('sent', 'running')",
                     row, now_ms);
}

int queue_taken(struct store *store, int64_t row, uint64_t now_ms)
{
    return change_at(store,
                     "UPDATE commands SET state = 'done', reason = 'revocation',"
                     " decided_ms = ?2, ended_ms = ?2 WHERE id = ?1 AND state = 'sent'",
                     row, now_ms);
}

int queue_refused(struct store *store, int64_t row, const char *reason, const char *receipt,
                  uint64_t now_ms)
{
    sqlite3_stmt *s = store_prepare(
        store, "UPDATE commands SET state = 'refused', reason = ?3, receipt = nullif(?4, ''),"
               " wrong_receipt = '', decided_ms = ?2, ended_ms = ?2"
               " WHERE id = ?1 AND state IN ('sent', 'running')");
    store_bind_u64(s, 1, (uint64_t)row);
    store_bind_u64(s, 2, now_ms);
    store_bind_text(s, 3, reason);
    store_bind_text(s, 4, receipt);
    return change(store, s);
}

int queue_done(struct store *store, int64_t row, const char *receipt,
               const struct output_place *place, uint64_t now_ms)
{
    sqlite3_stmt *s = store_prepare(
        store, "UPDATE commands SET state = 'done', receipt = ?3, stdout_chunks = ?4,"
               " stderr_chunks = ?5, stored = ?6, wrong_receipt = '', reason = 'accepted',"
               " decided_ms = coalesce(decided_ms, ?2), ended_ms = ?2"
               " WHERE id = ?1 AND state IN ('sent', 'running')");
    store_bind_u64(s, 1, (uint64_t)row);
    store_bind_u64(s, 2, now_ms);
    store_bind_text(s, 3, receipt);
    store_bind_u64(s, 4, place->chunks[0]);
    store_bind_u64(s, 5, place->chunks[1]);
    store_bind_u64(s, 6, place->size);
    return change(store, s);
}

int queue_progress(struct store *store, int64_t row, const struct output_place *place)
{
    sqlite3_stmt *s = store_prepare(store, "UPDATE commands SET stdout_chunks = ?2,"
                                           " stderr_chunks = ?3, stored = ?4 WHERE id = ?1");
    store_bind_u64(s, 1, (uint64_t)row);
    store_bind_u64(s, 2, place->chunks[0]);
    store_bind_u64(s, 3, place->chunks[1]);
    store_bind_u64(s, 4, place->size);
    return store_run(s);
}

int queue_hold(struct store *store, int64_t row, const char *why, uint64_t now_ms)
{
    sqlite3_stmt *s =
        store_prepare(store, "UPDATE commands SET held = ?2, held_ms = ?3 WHERE id = ?1");
    store_bind_u64(s, 1, (uint64_t)row);
    store_bind_text(s, 2, why);
    store_bind_u64(s, 3, now_ms);
    return store_run(s);
}

int queue_wrong_receipt(struct store *store, int64_t row, const char *why)
{
    sqlite3_stmt *s = store_prepare(store, "UPDATE commands SET wrong_receipt = ?2 WHERE id = ?1");
    store_bind_u64(s, 1, (uint64_t)row);
    store_bind_text(s, 2, why);
    return store_run(s);
}

int queue_stored(struct store *store, const uint8_t machine[32], uint64_t *bytes)
{
    sqlite3_stmt *s =
        store_prepare(store, "SELECT coalesce(sum(stored), 0) FROM commands WHERE machine = ?");
    store_bind_blob(s, 1, machine, 32);
    int result = store_step(s);
    if (result == 1)
        *bytes = store_column_u64(s, 0);
    store_done(s);
    return result == 1 ? 0 : result < 0 ? result : -EIO;
}

int queue_each(struct store *store, const uint8_t *machine,
               int (*row)(void *context, const struct queue_item *item), void *context)
{
    sqlite3_stmt *s = store_prepare(store, machine ? SELECT "WHERE c.machine = ? ORDER BY c.id"
                                                   : SELECT "ORDER BY c.id");
    if (machine)
        store_bind_blob(s, 1, machine, 32);
    int result;
    while ((result = store_step(s)) == 1) {
        struct queue_item item;
        result = read_row(s, &item);
        if (result || row(context, &item))
            break;
    }
    store_done(s);
    return result < 0 ? result : 0;
}

int queue_get(struct store *store, int64_t row, struct queue_item *out)
{
    sqlite3_stmt *s = store_prepare(store, SELECT "WHERE c.id = ?");
    store_bind_u64(s, 1, (uint64_t)row);
    int result = store_step(s);
    if (result == 1)
        result = read_row(s, out);
    else if (result == 0)
        result = QUEUE_UNKNOWN;
    store_done(s);
    return result;
}

int queue_find(struct store *store, const char *text, const uint8_t *machine,
               struct queue_item *out)
{
    size_t length = strlen(text);
    if (length < 8 || length > 32 || strspn(text, "0123456789abcdefABCDEF") != length)
        return QUEUE_UNKNOWN;
    sqlite3_stmt *s = store_prepare(store, SELECT "WHERE substr(hex(c.token), 1, ?1) = upper(?2)"
                                                  " AND (?3 IS NULL OR c.machine = ?3)"
                                                  " ORDER BY c.state = 'refused', c.id DESC");
    store_bind_u64(s, 1, length);
    store_bind_text(s, 2, text);
    if (machine)
        store_bind_blob(s, 3, machine, 32);
    int result = store_step(s);
    bool found = result == 1;
    if (found)
        result = read_row(s, out);
    while (found && !result && (result = store_step(s)) == 1) {
        struct queue_item other;
        result = read_row(s, &other);
        if (!result && (memcmp(other.machine, out->machine, sizeof(other.machine)) != 0 ||
                        memcmp(other.token, out->token, sizeof(other.token)) != 0))
            result = QUEUE_AMBIGUOUS;
    }
    store_done(s);
    return found || result < 0 ? result : QUEUE_UNKNOWN;
}

int queue_expired(struct store *store, uint64_t before_ms, int64_t *row)
{
    sqlite3_stmt *s = store_prepare(
        store, "SELECT c.id FROM commands c LEFT JOIN machines m ON m.id = c.machine"
               " WHERE c.ended_ms < ?1"
               " OR (c.ended_ms IS NULL AND c.pushed_ms < ?1 AND NOT coalesce(m.connected, 0))"
               " ORDER BY c.id LIMIT 1");
    store_bind_u64(s, 1, before_ms);
    int result = store_step(s);
    if (result == 1)
        *row = sqlite3_column_int64(s, 0);
    store_done(s);
    return result == 1 ? 0 : result == 0 ? QUEUE_UNKNOWN : result;
}

static int delete_row(struct store *store, int64_t row, bool idle, uint8_t token[16])
{
    sqlite3_stmt *s = store_prepare(
        store, "DELETE FROM commands WHERE id = ?1 AND (NOT ?2 OR state NOT IN ('sent', 'running')"
               " OR NOT EXISTS(SELECT 1 FROM machines m"
               "  WHERE m.id = commands.machine AND m.state = 'approved')) RETURNING token");
    store_bind_u64(s, 1, (uint64_t)row);
    store_bind_u64(s, 2, idle);
    int result = store_step(s);
    if (result == 1)
        result = store_column_blob(s, 0, token, 16) ? 0 : -EIO;
    else if (result == 0)
        result = QUEUE_UNKNOWN;
    store_done(s);
    return result;
}

int queue_delete(struct store *store, int64_t row, bool idle)
{
    uint8_t token[16];
    int result = store_begin(store);
    if (result)
        return result;
    result = delete_row(store, row, idle, token);
    if (!result) {
        sqlite3_stmt *s =
            store_prepare(store, "DELETE FROM command_tokens WHERE id = ?1"
                                 " AND NOT EXISTS(SELECT 1 FROM commands WHERE token = ?1)");
        store_bind_blob(s, 1, token, sizeof(token));
        result = store_run(s);
    }
    return store_end(store, result);
}

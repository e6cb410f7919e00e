#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define SCHEMA_VERSION 2

/* One script per step; user_version counts the steps done. */
static const char schema_1[] =
    "CREATE TABLE machines("
    " id BLOB PRIMARY KEY NOT NULL CHECK(length(id) = 32),"
    " public_key BLOB NOT NULL CHECK(length(public_key) = 32),"
    " state TEXT NOT NULL CHECK(state IN ('pending', 'approved', 'revoked')),"
    " name TEXT NOT NULL, os TEXT NOT NULL,"
    " previous BLOB CHECK(previous IS NULL OR length(previous) = 32),"
    " reason TEXT NOT NULL DEFAULT '',"
    " agent_version TEXT NOT NULL DEFAULT '', boot_id TEXT NOT NULL DEFAULT '',"
    " address TEXT NOT NULL DEFAULT '', connected INTEGER NOT NULL DEFAULT 0,"
    " enrolled_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE INDEX machines_previous ON machines(previous);"
    "CREATE TABLE tokens("
    " selector BLOB PRIMARY KEY NOT NULL, hash BLOB NOT NULL CHECK(length(hash) = 32),"
    " created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, used_ms INTEGER, used_by BLOB"
    ") WITHOUT ROWID;"
    "CREATE TABLE bundles("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " machine BLOB NOT NULL, ticket BLOB NOT NULL CHECK(length(ticket) = 16),"
    " digest BLOB NOT NULL CHECK(length(digest) = 32), size INTEGER NOT NULL,"
    " chunks INTEGER NOT NULL, recipients TEXT NOT NULL, consent_ms INTEGER NOT NULL,"
    " signature BLOB NOT NULL CHECK(length(signature) = 64), digests BLOB,"
    " have INTEGER NOT NULL DEFAULT 0, number INTEGER UNIQUE,"
    " begun_ms INTEGER NOT NULL, touched_ms INTEGER NOT NULL, received_ms INTEGER,"
    " UNIQUE(machine, ticket));"
    "CREATE TABLE counters(name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL);"
    "INSERT INTO counters VALUES('ticket', 0);"
    "PRAGMA user_version = 1;";

/* A token is kept once, however many machines it is for; a command is one token for one machine. */
static const char schema_2[] =
    "CREATE TABLE command_tokens("
    " id BLOB PRIMARY KEY NOT NULL CHECK(length(id) = 16), token BLOB NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE TABLE commands("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " machine BLOB NOT NULL CHECK(length(machine) = 32),"
    " token BLOB NOT NULL CHECK(length(token) = 16),"
    " state TEXT NOT NULL DEFAULT 'queued' CHECK(state IN"
    "  ('queued', 'sent', 'running', 'refused', 'done')),"
    " reason TEXT NOT NULL DEFAULT '', receipt TEXT,"
    " held TEXT NOT NULL DEFAULT '', held_ms INTEGER NOT NULL DEFAULT 0,"
    " wrong_receipt TEXT NOT NULL DEFAULT '',"
    " pushed_ms INTEGER NOT NULL, sent_ms INTEGER, decided_ms INTEGER, ended_ms INTEGER,"
    " stdout_chunks INTEGER NOT NULL DEFAULT 0, stderr_chunks INTEGER NOT NULL DEFAULT 0,"
    " stored INTEGER NOT NULL DEFAULT 0);"
    "CREATE UNIQUE INDEX commands_unfinished ON commands(machine, token)"
    " WHERE state IN ('queued', 'sent', 'running');"
    "CREATE INDEX commands_queue ON commands(machine, state, id);"
    "CREATE INDEX commands_token ON commands(token);"
    "PRAGMA user_version = 2;";

struct store {
    sqlite3 *db;
    sqlite3_stmt *version;
};

static int error_of(sqlite3 *db, int code, const char *what)
{
    log_error("database: %s: %s", what, db ? sqlite3_errmsg(db) : sqlite3_errstr(code));
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_NOMEM:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

static int execute(struct store *store, const char *sql)
{
    int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : error_of(store->db, code, sql);
}

static int read_schema_version(struct store *store, uint64_t *out)
{
    sqlite3_stmt *s = store_prepare(store, "PRAGMA user_version");
    int result = store_step(s);
    if (result == 1)
        *out = store_column_u64(s, 0);
    store_done(s);
    return result == 1 ? 0 : -EIO;
}

static int update_schema(struct store *store)
{
    uint64_t version = 0;
    int result = store_begin(store);
    if (result)
        return result;
    result = read_schema_version(store, &version);
    if (!result && version > SCHEMA_VERSION) {
        log_error("database: written by a newer console (schema %llu, this one knows %d)",
                  (unsigned long long)version, SCHEMA_VERSION);
        result = -EPROTO;
    }
    if (!result && version == 0)
        result = execute(store, schema_1);
    if (!result && version < 2)
        result = execute(store, schema_2);
    return store_end(store, result);
}

/* SQLite makes its file with the process's umask; making it first fixes the mode. */
static int make_file(const char *path, bool create)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0600);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

static int configure(struct store *store)
{
    sqlite3_busy_timeout(store->db, STORE_BUSY_MS);
    sqlite3_extended_result_codes(store->db, 1);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* FULL: a commit that was acknowledged to an agent survives a loss of power. */
    int result = execute(store, "PRAGMA journal_mode = WAL");
    if (!result)
        result = execute(store, "PRAGMA synchronous = FULL");
    return result ? result : update_schema(store);
}

int store_open(struct store **out, const char *directory, bool create)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof(path), "%s/console.db", directory) >= sizeof(path))
        return -ENAMETOOLONG;
    int result = make_file(path, create);
    if (result) {
        log_error("%s: %s", path, strerror(-result));
        return result;
    }
    struct store *store = calloc(1, sizeof(*store));
    if (!store)
        return -ENOMEM;
    int code =
        sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, NULL);
    result = code == SQLITE_OK ? configure(store) : error_of(store->db, code, path);
    if (!result) {
        store->version = store_prepare(store, "PRAGMA data_version");
        result = store->version ? 0 : -EIO;
    }
    if (result) {
        store_close(store);
        return result;
    }
    *out = store;
    return 0;
}

struct store *store_close(struct store *store)
{
    if (store) {
        sqlite3_finalize(store->version);
        sqlite3_close_v2(store->db);
        free(store);
    }
    return NULL;
}

uint32_t store_version(struct store *store)
{
    uint32_t version = 0;
    if (sqlite3_step(store->version) == SQLITE_ROW)
        version = (uint32_t)sqlite3_column_int64(store->version, 0);
    sqlite3_reset(store->version);
    return version;
}

int store_begin(struct store *store)
{
    return execute(store, "BEGIN IMMEDIATE");
}

int store_end(struct store *store, int result)
{
    if (!result) {
        result = execute(store, "COMMIT");
        if (!result)
            return 0;
    }
    /* A failed commit may have rolled back by itself. */
    if (!sqlite3_get_autocommit(store->db))
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

sqlite3_stmt *store_prepare(struct store *store, const char *sql)
{
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &s, NULL);
    if (code != SQLITE_OK)
        error_of(store->db, code, sql);
    return s;
}

void store_bind_blob(sqlite3_stmt *s, int index, const void *data, size_t length)
{
    sqlite3_bind_blob64(s, index, data, length, SQLITE_STATIC);
}

void store_bind_text(sqlite3_stmt *s, int index, const char *text)
{
    sqlite3_bind_text(s, index, text, -1, SQLITE_STATIC);
}

void store_bind_u64(sqlite3_stmt *s, int index, uint64_t value)
{
    sqlite3_bind_int64(s, index, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

int store_step(sqlite3_stmt *s)
{
    if (!s)
        return -EIO;
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW)
        return 1;
    if (code == SQLITE_DONE)
        return 0;
    return error_of(sqlite3_db_handle(s), code, sqlite3_sql(s));
}

int store_run(sqlite3_stmt *s)
{
    int result = store_step(s);
    store_done(s);
    return result > 0 ? 0 : result;
}

void store_done(sqlite3_stmt *s)
{
    sqlite3_finalize(s);
}

int store_changes(struct store *store)
{
    return sqlite3_changes(store->db);
}

int64_t store_last_row(struct store *store)
{
    return sqlite3_last_insert_rowid(store->db);
}

bool store_column_blob(sqlite3_stmt *s, int column, void *out, size_t length)
{
    const void *data = sqlite3_column_blob(s, column);
    if (!data || (size_t)sqlite3_column_bytes(s, column) != length)
        return false;
    memcpy(out, data, length);
    return true;
}

void store_column_text(sqlite3_stmt *s, int column, char *out, size_t capacity)
{
    const unsigned char *text = sqlite3_column_text(s, column);
    snprintf(out, capacity, "%s", text ? (const char *)text : "");
}

uint64_t store_column_u64(sqlite3_stmt *s, int column)
{
    sqlite3_int64 value = sqlite3_column_int64(s, column);
    return value > 0 ? (uint64_t)value : 0;
}

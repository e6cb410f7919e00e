/*
 * The console's database: one SQLite file in WAL mode that the server and the administrator's
 * commands open at the same time. This unit owns the schema and the thin layer under the queries;
 * machines.h and bundles.h hold the queries.
 *
 * A store belongs to one thread. Every statement is prepared and bound; no text from outside ever
 * becomes SQL.
 */
#ifndef CONSOLE_STORE_H
#define CONSOLE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

/* How long one statement waits for another process's transaction. */
#define STORE_BUSY_MS 5000

struct store;

/*
 * Opens `directory`/console.db, made with mode 0600 when it is missing and `create` is set, and
 * brings its schema up to date. Returns 0, -ENOENT (missing and not to be made), -EPROTO (a newer
 * console wrote it), -EIO or -ENOMEM. A reason is logged.
 */
int store_open(struct store **out, const char *directory, bool create);

/* Closes the database. NULL is accepted; returns NULL. */
struct store *store_close(struct store *store);

/*
 * A number that changes whenever another connection commits (PRAGMA data_version); 0 on error.
 * Cheap enough to poll.
 */
uint32_t store_version(struct store *store);

/* Begins a write transaction. 0, -EBUSY after STORE_BUSY_MS, or -EIO. Transactions do not nest. */
int store_begin(struct store *store);

/*
 * Ends the transaction: commits if `result` is 0, else rolls back. Returns `result`, or what made
 * the commit fail. After a commit the change survives a loss of power.
 */
int store_end(struct store *store, int result);

/* Prepares `sql`, a constant. NULL on error, logged. To be ended by store_done. */
sqlite3_stmt *store_prepare(struct store *store, const char *sql);

/* Binding shorthands; indices from 1. The bytes must live until store_done. NULL statements and
 * errors are remembered by the statement and reported by store_step. */
void store_bind_blob(sqlite3_stmt *s, int index, const void *data, size_t length);
void store_bind_text(sqlite3_stmt *s, int index, const char *text);
void store_bind_u64(sqlite3_stmt *s, int index, uint64_t value);

/* Steps: 1 with a row, 0 at the end, -EBUSY, -ENOSPC or -EIO (logged). NULL is -EIO. */
int store_step(sqlite3_stmt *s);

/* Steps a statement that gives no rows and finalizes it: 0 or an error of store_step. */
int store_run(sqlite3_stmt *s);

/* Finalizes. NULL is accepted. */
void store_done(sqlite3_stmt *s);

/* How many rows the last statement changed. */
int store_changes(struct store *store);

/* The id of the row inserted last. */
int64_t store_last_row(struct store *store);

/* Copies column `column` into `out`: false unless it is a blob of exactly `length` bytes. */
bool store_column_blob(sqlite3_stmt *s, int column, void *out, size_t length);

/* Copies column `column` as terminated text, cut at `capacity`; "" for NULL. */
void store_column_text(sqlite3_stmt *s, int column, char *out, size_t capacity);

/* Column `column` as an unsigned integer; 0 for NULL and negative values. */
uint64_t store_column_u64(sqlite3_stmt *s, int column);

#endif

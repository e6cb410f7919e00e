#include "bundles.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#define SELECT                                                                                     \
    "SELECT b.id, b.machine, b.ticket, b.digest, b.size, b.chunks, b.recipients, b.consent_ms,"    \
    " b.signature, b.digests IS NOT NULL, b.have, b.number, b.begun_ms, b.touched_ms,"             \
    " b.received_ms, m.name FROM bundles b LEFT JOIN machines m ON m.id = b.machine "

uint64_t bundles_charge(uint64_t size, uint32_t chunks)
{
    return size + (uint64_t)chunks * 32 + 4096;
}

void bundles_number_text(char out[BUNDLES_NUMBER_TEXT], uint64_t number)
{
    snprintf(out, BUNDLES_NUMBER_TEXT, "T-%06" PRIu64, number);
}

static int read_row(sqlite3_stmt *s, struct bundle *out)
{
    memset(out, 0, sizeof(*out));
    out->row = sqlite3_column_int64(s, 0);
    if (!store_column_blob(s, 1, out->machine, sizeof(out->machine)) ||
        !store_column_blob(s, 2, out->ticket, sizeof(out->ticket)) ||
        !store_column_blob(s, 3, out->digest, sizeof(out->digest)) ||
        !store_column_blob(s, 8, out->signature, sizeof(out->signature)))
        return -EIO;
    out->size = store_column_u64(s, 4);
    out->chunks = (uint32_t)store_column_u64(s, 5);
    store_column_text(s, 6, out->recipients, sizeof(out->recipients));
    out->consent_time_ms = store_column_u64(s, 7);
    out->has_digests = store_column_u64(s, 9) != 0;
    out->have = (uint32_t)store_column_u64(s, 10);
    out->number = store_column_u64(s, 11);
    out->begun_time_ms = store_column_u64(s, 12);
    out->touched_time_ms = store_column_u64(s, 13);
    out->received_time_ms = store_column_u64(s, 14);
    store_column_text(s, 15, out->machine_name, sizeof(out->machine_name));
    return 0;
}

static int read_one(sqlite3_stmt *s, struct bundle *out)
{
    int result = store_step(s);
    if (result == 1) {
        result = read_row(s, out);
        if (!result && store_step(s) == 1)
            result = BUNDLES_AMBIGUOUS;
    } else if (result == 0) {
        result = BUNDLES_UNKNOWN;
    }
    store_done(s);
    return result;
}

int bundles_get(struct store *store, const uint8_t machine[32], const uint8_t ticket[16],
                struct bundle *out)
{
    sqlite3_stmt *s = store_prepare(store, SELECT "WHERE b.machine = ? AND b.ticket = ?");
    store_bind_blob(s, 1, machine, 32);
    store_bind_blob(s, 2, ticket, 16);
    return read_one(s, out);
}

static int find_ticket_id(struct store *store, const char *text, struct bundle *out)
{
    uint8_t ticket[16];
    size_t got = 0;
    if (sodium_hex2bin(ticket, sizeof(ticket), text, 32, NULL, &got, NULL) || got != sizeof(ticket))
        return BUNDLES_UNKNOWN;
    sqlite3_stmt *s = store_prepare(store, SELECT "WHERE b.ticket = ? LIMIT 2");
    store_bind_blob(s, 1, ticket, sizeof(ticket));
    return read_one(s, out);
}

int bundles_find(struct store *store, const char *text, struct bundle *out)
{
    if (strlen(text) == 32)
        return find_ticket_id(store, text, out);
    if ((text[0] == 'T' || text[0] == 't') && text[1] == '-')
        text += 2;
    size_t length = strlen(text);
    if (length < 1 || length > 18 || strspn(text, "0123456789") != length)
        return BUNDLES_UNKNOWN;
    sqlite3_stmt *s = store_prepare(store, SELECT "WHERE b.number = ?");
    store_bind_u64(s, 1, strtoull(text, NULL, 10));
    return read_one(s, out);
}

int bundles_each(struct store *store, int (*row)(void *context, const struct bundle *b),
                 void *context)
{
    sqlite3_stmt *s = store_prepare(store, SELECT "ORDER BY b.number IS NULL, b.number, b.id");
    int result;
    while ((result = store_step(s)) == 1) {
        struct bundle b;
        result = read_row(s, &b);
        if (result || row(context, &b))
            break;
    }
    store_done(s);
    return result < 0 ? result : 0;
}

int bundles_usage(struct store *store, const uint8_t machine[32], uint64_t *charged,
                  uint64_t *incomplete)
{
    sqlite3_stmt *s = store_prepare(store, "SELECT size, chunks, number FROM bundles"
                                           " WHERE machine = ?");
    store_bind_blob(s, 1, machine, 32);
    int result;
    *charged = *incomplete = 0;
    while ((result = store_step(s)) == 1) {
        *charged += bundles_charge(store_column_u64(s, 0), (uint32_t)store_column_u64(s, 1));
        *incomplete += store_column_u64(s, 2) == 0;
    }
    store_done(s);
    return result;
}

static void join_recipients(char *out, const struct message_bundle_begin *begin)
{
    for (unsigned i = 0; i < begin->recipient_count; i++) {
        if (i > 0)
            *out++ = ' ';
        out = stpcpy(out, begin->recipients[i]);
    }
}

int bundles_insert(struct store *store, const uint8_t machine[32],
                   const struct message_bundle_begin *begin, uint64_t now_ms, int64_t *row)
{
    char recipients[BUNDLES_RECIPIENTS_TEXT] = "";
    join_recipients(recipients, begin);
    sqlite3_stmt *s = store_prepare(
        store, "INSERT INTO bundles(machine, ticket, digest, size, chunks, recipients, consent_ms,"
               " signature, begun_ms, touched_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)");
    store_bind_blob(s, 1, machine, 32);
    store_bind_blob(s, 2, begin->ticket, 16);
    store_bind_blob(s, 3, begin->digest, 32);
    store_bind_u64(s, 4, begin->size);
    store_bind_u64(s, 5, begin->chunks);
    store_bind_text(s, 6, recipients);
    store_bind_u64(s, 7, begin->consent_time_ms);
    store_bind_blob(s, 8, begin->signature, 64);
    store_bind_u64(s, 9, now_ms);
    int result = store_run(s);
    if (!result)
        *row = store_last_row(store);
    return result;
}

int bundles_put_digests(struct store *store, int64_t row, const uint8_t *digests, uint32_t chunks)
{
    sqlite3_stmt *s = store_prepare(store, "UPDATE bundles SET digests = ? WHERE id = ?");
    store_bind_blob(s, 1, digests, (size_t)chunks * 32);
    store_bind_u64(s, 2, (uint64_t)row);
    return store_run(s);
}

int bundles_get_digests(struct store *store, int64_t row, uint8_t *digests, uint32_t chunks)
{
    sqlite3_stmt *s = store_prepare(store, "SELECT digests FROM bundles WHERE id = ?");
    store_bind_u64(s, 1, (uint64_t)row);
    int result = store_step(s);
    if (result == 1)
        result = store_column_blob(s, 0, digests, (size_t)chunks * 32) ? 0 : BUNDLES_UNKNOWN;
    else if (result == 0)
        result = BUNDLES_UNKNOWN;
    store_done(s);
    return result;
}

int bundles_progress(struct store *store, int64_t row, uint32_t have, uint64_t now_ms)
{
    sqlite3_stmt *s =
        store_prepare(store, "UPDATE bundles SET have = ?, touched_ms = ? WHERE id = ?");
    store_bind_u64(s, 1, have);
    store_bind_u64(s, 2, now_ms);
    store_bind_u64(s, 3, (uint64_t)row);
    return store_run(s);
}

static int next_number(struct store *store, uint64_t *out)
{
    sqlite3_stmt *s = store_prepare(
        store, "UPDATE counters SET value = value + 1 WHERE name = 'ticket' RETURNING value");
    int result = store_step(s);
    if (result == 1)
        *out = store_column_u64(s, 0);
    store_done(s);
    return result == 1 ? 0 : result < 0 ? result : -EIO;
}

int bundles_complete(struct store *store, struct bundle *b, uint64_t now_ms)
{
    uint64_t number = 0;
    if (b->number)
        return 0;
    int result = store_begin(store);
    if (result)
        return result;
    result = next_number(store, &number);
    if (!result) {
        sqlite3_stmt *s =
            store_prepare(store, "UPDATE bundles SET number = ?1, have = chunks, received_ms = ?2,"
                                 " touched_ms = ?2 WHERE id = ?3 AND number IS NULL");
        store_bind_u64(s, 1, number);
        store_bind_u64(s, 2, now_ms);
        store_bind_u64(s, 3, (uint64_t)b->row);
        result = store_run(s);
    }
    if (!result && store_changes(store) != 1)
        result = -EIO;
    result = store_end(store, result);
    if (!result) {
        b->number = number;
        b->have = b->chunks;
        b->received_time_ms = now_ms;
    }
    return result;
}

int bundles_delete(struct store *store, int64_t row)
{
    sqlite3_stmt *s = store_prepare(store, "DELETE FROM bundles WHERE id = ? AND number IS NULL");
    store_bind_u64(s, 1, (uint64_t)row);
    int result = store_run(s);
    return result ? result : store_changes(store) ? 0 : BUNDLES_UNKNOWN;
}

int bundles_expired(struct store *store, uint64_t before_ms, int64_t *row)
{
    sqlite3_stmt *s = store_prepare(
        store, "SELECT id FROM bundles WHERE number IS NULL AND touched_ms < ? LIMIT 1");
    store_bind_u64(s, 1, before_ms);
    int result = store_step(s);
    if (result == 1)
        *row = sqlite3_column_int64(s, 0);
    store_done(s);
    return result == 1 ? 0 : result == 0 ? BUNDLES_UNKNOWN : result;
}

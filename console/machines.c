#include "machines.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proof.h"
#include "token.h"

static const char *const state_words[] = {
    [MACHINES_PENDING] = "pending",
    [MACHINES_APPROVED] = "approved",
    [MACHINES_REVOKED] = "revoked",
};

#define COLUMNS                                                                                    \
    "id, public_key, state, name, os, previous, reason, agent_version, boot_id, address,"          \
    " connected, enrolled_ms, changed_ms, seen_ms"

const char *machines_state_word(enum machines_state state)
{
    return state_words[state];
}

static int read_row(sqlite3_stmt *s, struct machine *out)
{
    memset(out, 0, sizeof(*out));
    char word[16];
    if (!store_column_blob(s, 0, out->id, sizeof(out->id)) ||
        !store_column_blob(s, 1, out->public_key, sizeof(out->public_key)))
        return -EIO;
    store_column_text(s, 2, word, sizeof(word));
    out->state = MACHINES_REVOKED;
    for (int i = MACHINES_PENDING; i < MACHINES_REVOKED; i++) {
        if (strcmp(word, state_words[i]) == 0)
            out->state = (enum machines_state)i;
    }
    store_column_text(s, 3, out->name, sizeof(out->name));
    store_column_text(s, 4, out->os, sizeof(out->os));
    out->has_previous = store_column_blob(s, 5, out->previous, sizeof(out->previous));
    store_column_text(s, 6, out->reason, sizeof(out->reason));
    store_column_text(s, 7, out->agent_version, sizeof(out->agent_version));
    store_column_text(s, 8, out->boot_id, sizeof(out->boot_id));
    store_column_text(s, 9, out->address, sizeof(out->address));
    out->connected = store_column_u64(s, 10) != 0;
    out->enrolled_time_ms = store_column_u64(s, 11);
    out->changed_time_ms = store_column_u64(s, 12);
    out->seen_time_ms = store_column_u64(s, 13);
    return 0;
}

/* Reads the only row of `s` and finalizes it. */
static int read_one(sqlite3_stmt *s, struct machine *out)
{
    int result = store_step(s);
    if (result == 1) {
        result = read_row(s, out);
        if (!result && store_step(s) == 1)
            result = MACHINES_AMBIGUOUS;
    } else if (result == 0) {
        result = MACHINES_UNKNOWN;
    }
    store_done(s);
    return result;
}

int machines_get(struct store *store, const uint8_t id[32], struct machine *out)
{
    sqlite3_stmt *s = store_prepare(store, "SELECT " COLUMNS " FROM machines WHERE id = ?");
    store_bind_blob(s, 1, id, 32);
    return read_one(s, out);
}

int machines_find(struct store *store, const char *text, struct machine *out)
{
    size_t length = strlen(text);
    bool digits = length >= 8 && length <= 64 && strspn(text, "0123456789abcdefABCDEF") == length;
    sqlite3_stmt *s =
        store_prepare(store, "SELECT " COLUMNS " FROM machines"
                             " WHERE name = ?1 OR (?2 AND substr(hex(id), 1, ?3) = upper(?1))"
                             " LIMIT 2");
    store_bind_text(s, 1, text);
    store_bind_u64(s, 2, digits);
    store_bind_u64(s, 3, length);
    return read_one(s, out);
}

int machines_each(struct store *store, int (*row)(void *context, const struct machine *m),
                  void *context)
{
    sqlite3_stmt *s =
        store_prepare(store, "SELECT " COLUMNS " FROM machines ORDER BY enrolled_ms, id");
    int result;
    while ((result = store_step(s)) == 1) {
        struct machine m;
        result = read_row(s, &m);
        if (result || row(context, &m))
            break;
    }
    store_done(s);
    return result < 0 ? result : 0;
}

int machines_token(struct store *store, char *text, uint64_t now_ms, uint64_t expires_time_ms)
{
    const uint64_t keep_ms = UINT64_C(30) * 24 * 3600 * 1000;
    uint8_t selector[TOKEN_SELECTOR_BYTES], hash[TOKEN_HASH_BYTES];
    int result = store_begin(store);
    if (result)
        return result;
    sqlite3_stmt *s = store_prepare(store, "DELETE FROM tokens WHERE expires_ms < ?");
    store_bind_u64(s, 1, now_ms > keep_ms ? now_ms - keep_ms : 0);
    result = store_run(s);
    if (!result) {
        token_make(text, selector, hash);
        s = store_prepare(store, "INSERT INTO tokens(selector, hash, created_ms, expires_ms)"
                                 " VALUES(?, ?, ?, ?)");
        store_bind_blob(s, 1, selector, sizeof(selector));
        store_bind_blob(s, 2, hash, sizeof(hash));
        store_bind_u64(s, 3, now_ms);
        store_bind_u64(s, 4, expires_time_ms);
        result = store_run(s);
    }
    return store_end(store, result);
}

/* Within a transaction: marks the token as used by `id`. */
static int spend_token(struct store *store, const char *token, const uint8_t id[32],
                       uint64_t now_ms)
{
    uint8_t selector[TOKEN_SELECTOR_BYTES], hash[TOKEN_HASH_BYTES], stored[TOKEN_HASH_BYTES] = {0};
    if (token_parse(token, selector, hash))
        return MACHINES_TOKEN_REFUSED;
    sqlite3_stmt *s = store_prepare(
        store, "SELECT hash FROM tokens WHERE selector = ? AND used_ms IS NULL AND expires_ms > ?");
    store_bind_blob(s, 1, selector, sizeof(selector));
    store_bind_u64(s, 2, now_ms);
    int result = store_step(s);
    bool found = result == 1 && store_column_blob(s, 0, stored, sizeof(stored));
    store_done(s);
    if (result < 0)
        return result;
    if (!token_equal(hash, stored) || !found)
        return MACHINES_TOKEN_REFUSED;
    s = store_prepare(store, "UPDATE tokens SET used_ms = ?, used_by = ? WHERE selector = ?");
    store_bind_u64(s, 1, now_ms);
    store_bind_blob(s, 2, id, 32);
    store_bind_blob(s, 3, selector, sizeof(selector));
    return store_run(s);
}

static int insert(struct store *store, const struct machine *m, const char *name, const char *os,
                  uint64_t now_ms)
{
    sqlite3_stmt *s = store_prepare(
        store, "INSERT INTO machines(id, public_key, state, name, os, previous, reason,"
               " agent_version, boot_id, address, connected, enrolled_ms, changed_ms, seen_ms)"
               " VALUES(?1, ?2, 'pending', ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1, ?10, ?10, ?10)");
    store_bind_blob(s, 1, m->id, 32);
    store_bind_blob(s, 2, m->public_key, 32);
    store_bind_text(s, 3, name);
    store_bind_text(s, 4, os);
    if (m->has_previous)
        store_bind_blob(s, 5, m->previous, 32);
    store_bind_text(s, 6, m->reason);
    store_bind_text(s, 7, m->agent_version);
    store_bind_text(s, 8, m->boot_id);
    store_bind_text(s, 9, m->address);
    store_bind_u64(s, 10, now_ms);
    return store_run(s);
}

int machines_enroll(struct store *store, const char *token, const struct machine *m,
                    uint64_t now_ms)
{
    struct machine known;
    int result = store_begin(store);
    if (result)
        return result;
    result = machines_get(store, m->id, &known);
    if (result == 0)
        result = MACHINES_KNOWN;
    else if (result == MACHINES_UNKNOWN)
        result = spend_token(store, token, m->id, now_ms);
    if (!result)
        result = insert(store, m, m->name, m->os, now_ms);
    return store_end(store, result);
}

static int count_claims(struct store *store, const uint8_t previous[32], uint64_t *out)
{
    sqlite3_stmt *s = store_prepare(
        store, "SELECT count(*) FROM machines WHERE previous = ? AND state = 'pending'");
    store_bind_blob(s, 1, previous, 32);
    int result = store_step(s);
    if (result == 1)
        *out = store_column_u64(s, 0);
    store_done(s);
    return result == 1 ? 0 : -EIO;
}

int machines_rotate(struct store *store, const struct machine *m, uint64_t now_ms)
{
    struct machine known, previous;
    uint64_t claims = 0;
    int result = store_begin(store);
    if (result)
        return result;
    result = machines_get(store, m->id, &known);
    if (result == 0)
        return store_end(store, MACHINES_KNOWN);
    result = machines_get(store, m->previous, &previous);
    if (result == MACHINES_UNKNOWN || (!result && previous.state != MACHINES_APPROVED))
        result = MACHINES_CLAIM_REFUSED;
    if (!result)
        result = count_claims(store, m->previous, &claims);
    if (!result && claims >= MACHINES_CLAIMS_MAX)
        result = MACHINES_CLAIM_REFUSED;
    if (!result)
        result = insert(store, m, previous.name, previous.os, now_ms);
    return store_end(store, result);
}

static int set_state(struct store *store, const uint8_t id[32], enum machines_state state,
                     uint64_t now_ms)
{
    sqlite3_stmt *s =
        store_prepare(store, "UPDATE machines SET state = ?, changed_ms = ? WHERE id = ?");
    store_bind_text(s, 1, state_words[state]);
    store_bind_u64(s, 2, now_ms);
    store_bind_blob(s, 3, id, 32);
    return store_run(s);
}

/* Within a transaction: the machine that `m` replaces, and other claims to it, are over. */
static int retire_previous(struct store *store, const struct machine *m, uint64_t now_ms)
{
    if (!m->has_previous)
        return 0;
    sqlite3_stmt *s =
        store_prepare(store, "UPDATE machines SET state = 'revoked', changed_ms = ?1"
                             " WHERE (id = ?2 OR (previous = ?2 AND state = 'pending'))"
                             " AND id != ?3");
    store_bind_u64(s, 1, now_ms);
    store_bind_blob(s, 2, m->previous, 32);
    store_bind_blob(s, 3, m->id, 32);
    return store_run(s);
}

int machines_approve(struct store *store, const uint8_t id[32], const char *fingerprint,
                     uint64_t now_ms)
{
    struct machine m;
    int result = store_begin(store);
    if (result)
        return result;
    result = machines_get(store, id, &m);
    if (!result && !proof_fingerprint_matches(fingerprint, m.public_key))
        result = MACHINES_MISMATCH;
    if (!result)
        result = set_state(store, id, MACHINES_APPROVED, now_ms);
    if (!result)
        result = retire_previous(store, &m, now_ms);
    return store_end(store, result);
}

int machines_revoke(struct store *store, const uint8_t id[32], uint64_t now_ms)
{
    int result = store_begin(store);
    if (result)
        return result;
    result = set_state(store, id, MACHINES_REVOKED, now_ms);
    if (!result && store_changes(store) == 0)
        result = MACHINES_UNKNOWN;
    return store_end(store, result);
}

int machines_seen(struct store *store, const uint8_t id[32], const struct machine *m,
                  uint64_t now_ms)
{
    sqlite3_stmt *s = store_prepare(
        store, m ? "UPDATE machines SET seen_ms = ?1, connected = 1, agent_version = ?3,"
                   " boot_id = ?4, address = ?5 WHERE id = ?2"
                 : "UPDATE machines SET seen_ms = ?1, connected = 0 WHERE id = ?2");
    store_bind_u64(s, 1, now_ms);
    store_bind_blob(s, 2, id, 32);
    if (m) {
        store_bind_text(s, 3, m->agent_version);
        store_bind_text(s, 4, m->boot_id);
        store_bind_text(s, 5, m->address);
    }
    return store_run(s);
}

int machines_all_gone(struct store *store)
{
    return store_run(store_prepare(store, "UPDATE machines SET connected = 0 WHERE connected"));
}

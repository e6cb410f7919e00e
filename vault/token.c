#include "token.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "es256.h"
#include "jws.h"
#include "payload.h"
#include "token_summary.h"

struct token_verifier {
    struct command_keys table;
    struct es256_key *keys[COMMAND_KEYS_MAX];
    bool countersigned;               /* one of the keys countersigns: admin needs it */
    uint8_t outer[TOKEN_PAYLOAD_MAX]; /* decoded parts of a token, */
    uint8_t inner[TOKEN_PAYLOAD_MAX]; /* and of the one that it countersigns */
};

/* What an authentic token carries, and who signed it. */
struct signed_payload {
    uint32_t key;
    struct jws_part payload;
};

/* ---------------------------------------------------------------- the verifier */

static int make_keys(struct token_verifier *verifier)
{
    for (uint32_t i = 0; i < verifier->table.count; i++) {
        const struct command_key *key = &verifier->table.keys[i];
        int error = es256_key_new(&verifier->keys[i], key->point);
        if (error)
            return error;
        if (key->flags & COMMAND_KEY_COUNTERSIGNS)
            verifier->countersigned = true;
    }
    return 0;
}

static int start(void)
{
    size_t seed;
    randombytes_buf(&seed, sizeof seed);
    int error = es256_start();
    return error ? error : payload_start(seed);
}

int token_verifier_new(struct token_verifier **out, const struct command_keys *table)
{
    int error = start();
    if (error)
        return error;
    if (command_keys_flaw(table))
        return -EINVAL;
    struct token_verifier *verifier = calloc(1, sizeof *verifier);
    if (!verifier)
        return -ENOMEM;
    verifier->table = *table;
    error = make_keys(verifier);
    if (error) {
        token_verifier_free(verifier);
        return error;
    }
    *out = verifier;
    return 0;
}

struct token_verifier *token_verifier_free(struct token_verifier *verifier)
{
    if (verifier)
        for (size_t i = 0; i < COMMAND_KEYS_MAX; i++)
            es256_key_free(verifier->keys[i]);
    free(verifier);
    return NULL;
}

const struct command_keys *token_verifier_keys(const struct token_verifier *verifier)
{
    return &verifier->table;
}

/* ---------------------------------------------------------------- whose it is */

/* The row whose header it has; the table's count if there is none. */
static uint32_t find_key(const struct command_keys *table, const struct jws_part *header)
{
    uint32_t i = 0;
    while (i < table->count && !jws_header_is(header, table->keys[i].kid))
        i++;
    return i;
}

/* DECISION_ACCEPTED: `out` is authentic. DECISION_REVOKED: out->key is, and the rest is not. */
static ipc_Decision authenticate(struct token_verifier *verifier, struct signed_payload *out,
                                 uint8_t scratch[TOKEN_PAYLOAD_MAX], const struct jws_part *token,
                                 uint32_t revoked)
{
    struct jws jws;
    if (!jws_decode(&jws, scratch, TOKEN_PAYLOAD_MAX, token->bytes, token->length))
        return ipc_DECISION_MALFORMED;
    out->key = find_key(&verifier->table, &jws.header);
    if (out->key == verifier->table.count)
        return ipc_DECISION_HEADER;
    if (jws.signature.length != ES256_SIGNATURE_SIZE ||
        !es256_verify(verifier->keys[out->key], jws.signing.bytes, jws.signing.length,
                      jws.signature.bytes))
        return ipc_DECISION_SIGNATURE;
    out->payload = jws.payload;
    return revoked >> out->key & 1 ? ipc_DECISION_REVOKED : ipc_DECISION_ACCEPTED;
}

static void set_signer(struct token *out, const struct command_keys *table, uint32_t key)
{
    out->known = TOKEN_AUTHENTIC;
    out->key = key;
    memcpy(out->kid, table->keys[key].kid, sizeof out->kid);
}

/* ---------------------------------------------------------------- what it may */

/* A key may revoke itself; one that was built in with `revokes` any key. */
static ipc_Decision judge_revocation(const struct command_keys *table, struct token *out)
{
    bool others = false;
    for (uint32_t i = 0; i < out->revoked_count; i++) {
        others |= strcmp(out->revoked_kids[i], out->kid) != 0;
        for (uint32_t k = 0; k < table->count; k++)
            if (strcmp(out->revoked_kids[i], table->keys[k].kid) == 0)
                out->revoked_mask |= 1u << k;
    }
    return others && !(table->keys[out->key].flags & COMMAND_KEY_REVOKES) ? ipc_DECISION_PROFILE
                                                                          : ipc_DECISION_REVOCATION;
}

static ipc_Decision judge_command(const struct token_verifier *verifier, const struct token *token,
                                  bool twice)
{
    const struct command_key *key = &verifier->table.keys[token->key];
    if (key->flags & COMMAND_KEY_COUNTERSIGNS)
        return ipc_DECISION_COUNTERSIGNATURE;
    if (token->profile == ipc_PROFILE_ADMIN && verifier->countersigned && !twice)
        return ipc_DECISION_COUNTERSIGNATURE;
    return (uint32_t)token->profile > key->profile ? ipc_DECISION_PROFILE : ipc_DECISION_ACCEPTED;
}

/* Reads what is authentic; `twice`: and is countersigned. */
static ipc_Decision judge(struct token_verifier *verifier, struct token *out,
                          const struct jws_part *payload, bool twice)
{
    if (!payload_read(out, payload->bytes, payload->length))
        return ipc_DECISION_PAYLOAD;
    if (out->known == TOKEN_COMMAND) {
        token_summarise(out);
        return judge_command(verifier, out, twice);
    }
    if (twice) { /* nobody countersigns a revocation */
        out->known = TOKEN_AUTHENTIC;
        return ipc_DECISION_PAYLOAD;
    }
    return judge_revocation(&verifier->table, out);
}

/* Whether a payload is a token: only base64url and dots. A JSON object begins otherwise. */
static bool is_token(const struct jws_part *payload)
{
    return payload->bytes[0] != '{' && !memchr(" \t\r\n", payload->bytes[0], 4);
}

static ipc_Decision judge_countersigned(struct token_verifier *verifier, struct token *out,
                                        const struct jws_part *token, uint32_t revoked)
{
    struct signed_payload inner;
    ipc_Decision decision = authenticate(verifier, &inner, verifier->inner, token, revoked);
    if (decision == ipc_DECISION_REVOKED)
        set_signer(out, &verifier->table, inner.key);
    else if (decision != ipc_DECISION_ACCEPTED)
        out->known = TOKEN_UNKNOWN;
    if (decision != ipc_DECISION_ACCEPTED)
        return decision;
    set_signer(out, &verifier->table, inner.key);
    if (verifier->table.keys[inner.key].flags & COMMAND_KEY_COUNTERSIGNS)
        return ipc_DECISION_COUNTERSIGNATURE;
    return judge(verifier, out, &inner.payload, true);
}

ipc_Decision token_verify(struct token_verifier *verifier, struct token *out, const uint8_t *bytes,
                          size_t length, uint32_t revoked)
{
    uint8_t digest[ES256_DIGEST_SIZE];
    struct signed_payload outer;
    struct jws_part token = {bytes, length};
    memset(out, 0, offsetof(struct token, storage));
    if (length <= TOKEN_BYTES_MAX && es256_digest(digest, bytes, length))
        memcpy(out->id, digest, sizeof out->id);
    if (verifier->table.count == 0)
        return ipc_DECISION_NO_KEYS;
    if (length > TOKEN_BYTES_MAX)
        return ipc_DECISION_TOO_LONG;
    ipc_Decision decision = authenticate(verifier, &outer, verifier->outer, &token, revoked);
    if (decision != ipc_DECISION_ACCEPTED && decision != ipc_DECISION_REVOKED)
        return decision;
    set_signer(out, &verifier->table, outer.key);
    if (decision == ipc_DECISION_REVOKED)
        return decision;
    if (verifier->table.keys[outer.key].flags & COMMAND_KEY_COUNTERSIGNS &&
        is_token(&outer.payload))
        return judge_countersigned(verifier, out, &outer.payload, revoked);
    return judge(verifier, out, &outer.payload, false);
}

/* ---------------------------------------------------------------- what the caller knows */

bool token_is_for(const struct token *token, const char *machine, const char *const groups[],
                  size_t group_count)
{
    static const char prefix[] = "group:";
    for (uint32_t i = 0; i < token->audience_count; i++) {
        const char *audience = token->audience[i];
        if (strcmp(audience, machine) == 0)
            return true;
        if (strncmp(audience, prefix, sizeof prefix - 1) != 0)
            continue;
        for (size_t k = 0; k < group_count; k++)
            if (strcmp(audience + sizeof prefix - 1, groups[k]) == 0)
                return true;
    }
    return false;
}

ipc_Decision token_validity(const struct token *token)
{
    bool right = token->exp > token->nbf && token->exp - token->nbf <= TOKEN_VALIDITY_MAX;
    return right ? ipc_DECISION_ACCEPTED : ipc_DECISION_VALIDITY;
}

ipc_Decision token_window(const struct token *token, uint64_t unix_ms)
{
    /* Whole seconds are compared, so that nothing is multiplied. */
    uint64_t now = unix_ms / 1000;
    if (now < token->nbf)
        return ipc_DECISION_NOT_YET_VALID;
    return now < token->exp ? ipc_DECISION_ACCEPTED : ipc_DECISION_EXPIRED;
}

void token_order(struct order *out, const struct token *token, uint32_t slot, uint32_t generation)
{
    memset(out, 0, sizeof *out);
    out->slot = slot;
    out->generation = generation;
    out->profile = (uint32_t)token->profile;
    memcpy(out->token, token->id, sizeof out->token);
    out->time_ms = token->time_ms;
    out->output_bytes = token->output_bytes;
    out->argc = token->argc;
    memcpy(out->argv, token->argv, token->argc * sizeof *out->argv);
    out->envc = token->envc;
    memcpy(out->env, token->env, token->envc * sizeof *out->env);
    out->script = token->script;
    out->script_length = token->script_length;
    out->input = token->input;
    out->input_length = token->input_length;
}

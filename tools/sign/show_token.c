/* Telling commands, countersigned commands, revocations and receipts apart. */
#include "show.h"

#include <endian.h>
#include <string.h>

static bool show_signer(FILE *out, const struct jws *jws, const struct command_keys *keys,
                        const char *label)
{
    const struct command_key *key = keys ? jwk_find(keys, jws->kid, strlen(jws->kid)) : NULL;
    bool holds = key && jws_holds(jws, key);
    fprintf(out, SHOW_LABEL "%s: %s\n", label, jws->kid,
            !keys   ? "not checked ('show --keys SET' does)"
            : !key  ? "NOT ONE OF THESE KEYS"
            : holds ? "the signature holds"
                    : "THE SIGNATURE DOES NOT HOLD");
    return holds || !keys;
}

static bool complain_of(FILE *out, const char *fault)
{
    if (fault)
        fprintf(out, SHOW_LABEL "%s\n", "REFUSED", fault);
    return !fault;
}

static bool show_raw(FILE *out, const char *fault, const struct jws *jws)
{
    fprintf(out, SHOW_LABEL "%s\n", "REFUSED", fault);
    fprintf(out, SHOW_LABEL "%zu bytes\n", "Payload", jws->payload_length);
    show_lines(out, (const uint8_t *)jws->payload, jws->payload_length);
    return false;
}

static bool is_countersigner(const struct command_key *key)
{
    return le32toh(key->flags) & COMMAND_KEY_COUNTERSIGNS;
}

static bool countersigning_is_due(const struct command_keys *keys)
{
    for (uint32_t i = 0; i < le32toh(keys->count); i++)
        if (is_countersigner(&keys->keys[i]))
            return true;
    return false;
}

/* What a vault with these keys would have against it; NULL: nothing, or the key is not known. */
static const char *power_fault(const struct jws *jws, const struct command_keys *keys,
                               uint32_t profile, bool twice)
{
    static char text[96];
    const struct command_key *key = keys ? jwk_find(keys, jws->kid, strlen(jws->kid)) : NULL;
    if (!key)
        return NULL;
    if (is_countersigner(key))
        return "its key only countersigns";
    if (profile == 3 && !twice && countersigning_is_due(keys))
        return "commands for admin need a second signature";
    if (le32toh(key->profile) >= profile)
        return NULL;
    snprintf(text, sizeof(text), "the key %s may sign up to %s", key->kid,
             jwk_profile_name(le32toh(key->profile)));
    return text;
}

static bool show_payload(FILE *out, const struct jws *jws, const struct command_keys *keys,
                         bool twice, uint64_t now)
{
    struct payload_command command;
    json_t *list;
    const char *fault;
    if (payload_is(jws->payload, jws->payload_length, "cloister-revocation")) {
        fault = payload_read_revocation(&list, jws->payload, jws->payload_length);
        if (fault)
            return show_raw(out, fault, jws);
        show_revocation(out, list);
        json_decref(list);
        return true;
    }
    fault = payload_read_command(&command, jws->payload, jws->payload_length);
    if (fault)
        return show_raw(out, fault, jws);
    show_payload_command(out, &command, now);
    bool never = command.exp <= command.nbf || command.exp - command.nbf > PAYLOAD_VALIDITY_MAX_S;
    complain_of(out, never ? "it is valid at no time" : NULL);
    bool may = complain_of(out, power_fault(jws, keys, command.profile, twice));
    payload_free_command(&command);
    return !never && may;
}

/* What is signed twice: its payload is a token itself. */
static bool show_inner(FILE *out, const struct jws *outer, const struct command_keys *keys,
                       uint64_t now)
{
    struct jws inner;
    const char *fault = jws_read(&inner, outer->payload, outer->payload_length);
    if (fault)
        return complain_of(out, fault);
    const struct command_key *key = keys ? jwk_find(keys, outer->kid, strlen(outer->kid)) : NULL;
    bool right = show_signer(out, outer, keys, "Countersigned");
    if (key && !is_countersigner(key))
        right = complain_of(out, "that key does not countersign");
    right &= show_signer(out, &inner, keys, "Signed");
    if (inner.kind != JWS_COMMAND) {
        complain_of(out, "what is countersigned is no command");
        right = false;
    } else {
        right &= show_payload(out, &inner, keys, true, now);
    }
    jws_free(&inner);
    return right;
}

static bool show_jws(FILE *out, const struct jws *jws, const struct command_keys *keys,
                     uint64_t now)
{
    if (jws->kind == JWS_RECEIPT)
        return complain_of(out, show_receipt(out, jws));
    if (memcmp(jws->payload, "ey", 2) ==
        0) /* '{"' in base64url, which no JSON object begins with */
        return show_inner(out, jws, keys, now);
    bool right = show_signer(out, jws, keys, "Signed");
    return show_payload(out, jws, keys, false, now) && right;
}

bool show_token(FILE *out, const char *text, size_t length, const struct command_keys *keys,
                uint64_t now)
{
    struct jws jws;
    char id[33];
    const char *fault = jws_read(&jws, text, length);
    jws_token_id(id, text, length);
    fprintf(out, SHOW_LABEL "%s, %zu bytes\n", "Token", id, length);
    bool right = fault ? complain_of(out, fault) : show_jws(out, &jws, keys, now);
    jws_free(&jws);
    return right;
}

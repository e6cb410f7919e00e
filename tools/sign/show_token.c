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
            !keys   ? "not checked (--keys gives the public keys)"
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

/* Whether the key may sign for that profile; true if it is not known. */
static bool may_sign(FILE *out, const struct jws *jws, const struct command_keys *keys,
                     uint32_t profile)
{
    const struct command_key *key = keys ? jwk_find(keys, jws->kid, strlen(jws->kid)) : NULL;
    if (!key || le32toh(key->profile) >= profile)
        return true;
    fprintf(out, SHOW_LABEL "the key %s may sign up to %s\n", "REFUSED", key->kid,
            jwk_profile_name(le32toh(key->profile)));
    return false;
}

static bool show_payload(FILE *out, const struct jws *jws, const struct command_keys *keys,
                         uint64_t now)
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
    bool may = may_sign(out, jws, keys, command.profile);
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
    bool right = show_signer(out, outer, keys, "Countersigned");
    right &= show_signer(out, &inner, keys, "Signed");
    if (inner.kind != JWS_COMMAND) {
        complain_of(out, "what is countersigned is no command");
        right = false;
    } else {
        right &= show_payload(out, &inner, keys, now);
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
    return show_payload(out, jws, keys, now) && right;
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

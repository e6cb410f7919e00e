#include "receipt.h"

#include <stdio.h>
#include <string.h>

#include "payload.h"

static const char *const decisions[] = {"run", "refused", "not_run", "unknown"};
static const char *const ends[] = {"exit", "signal", "errno"};

/* A text of at most 64 bytes; NULL: it is none. */
static const char *text(const json_t *root, const char *name)
{
    const json_t *value = json_object_get(root, name);
    return json_is_string(value) && json_string_length(value) <= 64 ? json_string_value(value)
                                                                    : NULL;
}

static bool integer(uint64_t *out, const json_t *root, const char *name)
{
    const json_t *value = json_object_get(root, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return *out <= PAYLOAD_SEQ_MAX;
}

/* As above, but it may be absent. */
static bool option(uint64_t *out, const json_t *root, const char *name)
{
    *out = 0;
    return !json_object_get(root, name) || integer(out, root, name);
}

static bool digest(uint8_t out[DIGEST_SIZE], const json_t *root, const char *name)
{
    const char *hex = text(root, name);
    return hex && digest_read_hex(out, DIGEST_SIZE, hex);
}

static bool read_stream(struct receipt_stream *out, const json_t *root, const char *stream)
{
    char bytes[32], sha256[32], dropped[32];
    snprintf(bytes, sizeof(bytes), "%s_bytes", stream);
    snprintf(sha256, sizeof(sha256), "%s_sha256", stream);
    snprintf(dropped, sizeof(dropped), "%s_dropped", stream);
    return integer(&out->bytes, root, bytes) && digest(out->sha256, root, sha256) &&
           integer(&out->dropped, root, dropped);
}

static const char *read_end(struct receipt *out)
{
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (!json_object_get(out->root, ends[i]))
            continue;
        if (out->end || !integer(&out->code, out->root, ends[i]))
            return "how the command ended is said twice or not as a number";
        out->end = ends[i];
    }
    out->limit = text(out->root, "limit");
    if (!out->end)
        return "it does not say how the command ended";
    if (!out->limit || (*out->limit && strcmp(out->limit, "time") && strcmp(out->limit, "output")))
        return "limit is none of \"\", \"time\", \"output\"";
    if (!read_stream(&out->out, out->root, "stdout") ||
        !read_stream(&out->err, out->root, "stderr"))
        return "what it says of the output is not a length, a SHA-256 and a length";
    return NULL;
}

static bool is_decision(const char *word)
{
    for (size_t i = 0; word && i < sizeof(decisions) / sizeof(decisions[0]); i++)
        if (strcmp(word, decisions[i]) == 0)
            return true;
    return false;
}

static bool is_word(const char *word)
{
    return word && strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(word);
}

static const char *read_command(struct receipt *out)
{
    uint8_t id[16];
    const json_t *root = out->root;
    out->token = text(root, "token");
    out->jti = text(root, "jti");
    out->kid = text(root, "kid");
    out->profile = text(root, "profile");
    out->decision = text(root, "decision");
    out->reason = text(root, "reason");
    if (!out->token || !digest_read_hex(id, sizeof(id), out->token))
        return "token is not 32 lower-case hexadecimal digits";
    if (!is_decision(out->decision) || !is_word(out->reason))
        return "decision is none of run, refused, not_run, unknown, or reason is no word";
    if (!option(&out->accepted_ms, root, "accepted_ms") ||
        !option(&out->started_ms, root, "started_ms") || !option(&out->ended_ms, root, "ended_ms"))
        return "a time is not milliseconds since 1970";
    return NULL;
}

/* What is read of a token whose payload was refused is not there. */
static const char *check_names(struct receipt *out)
{
    uint8_t id[16];
    if (!option(&out->seq, out->root, "seq"))
        return "seq is not a number";
    bool ran = strcmp(out->decision, "run") == 0;
    if (ran && (!out->jti || !out->kid || !out->profile || !out->seq))
        return "it does not name the command: jti, kid, seq, profile";
    if (out->jti && *out->jti && !digest_read_hex(id, sizeof(id), out->jti))
        return "jti is not 32 lower-case hexadecimal digits";
    return ran ? read_end(out) : NULL;
}

static const char *read_receipt(struct receipt *out, const struct jws *jws)
{
    const char *typ = text(out->root, "typ");
    uint8_t id[DIGEST_SIZE];
    if (!typ || strcmp(typ, "cloister-receipt") != 0)
        return "typ is not cloister-receipt";
    if (json_integer_value(json_object_get(out->root, "ver")) != 1)
        return "ver is not 1";
    out->machine = text(out->root, "machine");
    if (!out->machine || !digest_read_hex(id, sizeof(id), out->machine))
        return "machine is not 64 lower-case hexadecimal digits";
    if (strcmp(out->machine, jws->kid) != 0)
        return "the header names another machine than the payload";
    const char *fault = read_command(out);
    return fault ? fault : check_names(out);
}

const char *receipt_read(struct receipt *out, const struct jws *jws)
{
    *out = (struct receipt){0};
    if (jws->kind != JWS_RECEIPT)
        return "it is not signed by a machine (EdDSA)";
    out->root = json_loadb(jws->payload, jws->payload_length, JSON_REJECT_DUPLICATES, NULL);
    const char *fault = json_is_object(out->root) ? read_receipt(out, jws)
                                                  : "it is not one JSON object with each member "
                                                    "once";
    if (fault)
        receipt_free(out);
    return fault;
}

void receipt_free(struct receipt *receipt)
{
    json_decref(receipt->root);
    *receipt = (struct receipt){0};
}

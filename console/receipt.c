#include "receipt.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "jws.h"
#include "message.h"

static const char *const outcome_words[] = {
    [RECEIPT_MALFORMED] = "malformed", [RECEIPT_HEADER] = "header",
    [RECEIPT_SIGNATURE] = "signature", [RECEIPT_PAYLOAD] = "payload",
    [RECEIPT_MACHINE] = "machine",     [RECEIPT_TOKEN] = "token",
};

static const char *const decision_words[] = {
    [RECEIPT_RUN] = "run",
    [RECEIPT_REFUSED] = "refused",
    [RECEIPT_NOT_RUN] = "not_run",
    [RECEIPT_UNKNOWN] = "unknown",
};

const char *receipt_outcome_word(int outcome)
{
    return outcome_words[outcome];
}

const char *receipt_decision_word(enum receipt_decision decision)
{
    return decision_words[decision];
}

/* The member as a string without NUL, or NULL. */
static const char *text_of(const json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name));
}

static bool is(const json_t *o, const char *name, const char *value)
{
    const char *text = text_of(o, name);
    return text && strcmp(text, value) == 0;
}

static bool read_word(const json_t *o, const char *name, char *out, size_t capacity)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    const char *text = text_of(o, name);
    if (!text || strlen(text) >= capacity || strspn(text, allowed) != strlen(text))
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool read_number(const json_t *o, const char *name, uint64_t max, uint64_t *out)
{
    const json_t *value = json_object_get(o, name);
    json_int_t n = json_is_integer(value) ? json_integer_value(value) : -1;
    if (n < 0 || (uint64_t)n > max)
        return false;
    *out = (uint64_t)n;
    return true;
}

/* Absent, or a time. */
static bool read_time(const json_t *o, const char *name, uint64_t *out)
{
    *out = 0;
    return !json_object_get(o, name) || read_number(o, name, (UINT64_C(1) << 53) - 1, out);
}

static bool read_decision(const json_t *o, struct receipt *out)
{
    for (int i = RECEIPT_RUN; i <= RECEIPT_UNKNOWN; i++) {
        if (is(o, "decision", decision_words[i])) {
            out->decision = (enum receipt_decision)i;
            return read_word(o, "reason", out->reason, sizeof(out->reason));
        }
    }
    return false;
}

/* Just one of the three members. */
static bool read_end(const json_t *o, struct receipt *out)
{
    static const struct {
        const char *name;
        enum receipt_end end;
        uint64_t max;
    } ends[] = {{"exit", RECEIPT_EXIT, 255},
                {"signal", RECEIPT_SIGNAL, 64},
                {"errno", RECEIPT_ERRNO, 4095}};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        uint64_t value;
        if (!json_object_get(o, ends[i].name))
            continue;
        if (out->end != RECEIPT_NO_END || !read_number(o, ends[i].name, ends[i].max, &value))
            return false;
        out->end = ends[i].end;
        out->value = (int)value;
    }
    return out->end != RECEIPT_NO_END;
}

static bool read_stream(const json_t *o, const char *prefix, struct receipt_stream *out)
{
    char name[32];
    size_t got = 0;
    snprintf(name, sizeof(name), "%s_bytes", prefix);
    if (!read_number(o, name, (UINT64_C(1) << 53) - 1, &out->bytes))
        return false;
    snprintf(name, sizeof(name), "%s_dropped", prefix);
    if (!read_number(o, name, (UINT64_C(1) << 53) - 1, &out->dropped))
        return false;
    snprintf(name, sizeof(name), "%s_sha256", prefix);
    const char *hex = text_of(o, name);
    return hex && strlen(hex) == 64 &&
           sodium_hex2bin(out->sha256, 32, hex, 64, NULL, &got, NULL) == 0 && got == 32;
}

static int read_payload(struct receipt *out, const json_t *o, const uint8_t machine[32],
                        const uint8_t token[16])
{
    char hex[65];
    uint64_t version = 0;
    if (!is(o, "typ", "cloister-receipt") || !read_number(o, "ver", 1, &version) || version != 1 ||
        !text_of(o, "machine") || !text_of(o, "token") || !read_decision(o, out) ||
        !read_time(o, "accepted_ms", &out->accepted_ms) ||
        !read_time(o, "started_ms", &out->started_ms) || !read_time(o, "ended_ms", &out->ended_ms))
        return RECEIPT_PAYLOAD;
    if (json_object_get(o, "limit") && !read_word(o, "limit", out->limit, sizeof(out->limit)))
        return RECEIPT_PAYLOAD;
    if (out->decision == RECEIPT_RUN &&
        (!read_end(o, out) || !read_stream(o, "stdout", &out->stream[0]) ||
         !read_stream(o, "stderr", &out->stream[1])))
        return RECEIPT_PAYLOAD;
    if (!is(o, "machine", sodium_bin2hex(hex, sizeof(hex), machine, 32)))
        return RECEIPT_MACHINE;
    return is(o, "token", sodium_bin2hex(hex, sizeof(hex), token, 16)) ? 0 : RECEIPT_TOKEN;
}

/* Of the length that base64url has, so that there is one spelling. */
static int check_header(const struct jws_part *header, const uint8_t machine[32])
{
    char hex[65], expected[128];
    uint8_t found[128];
    size_t length = 0;
    int n = snprintf(expected, sizeof(expected), "{\"alg\":\"EdDSA\",\"kid\":\"%s\"}",
                     sodium_bin2hex(hex, sizeof(hex), machine, 32));
    bool same = jws_decode(found, sizeof(found), &length, header) && length == (size_t)n &&
                memcmp(found, expected, length) == 0;
    return same ? 0 : RECEIPT_HEADER;
}

int receipt_check(struct receipt *out, const char *text, const uint8_t machine[32],
                  const uint8_t public_key[32], const uint8_t token[16])
{
    struct jws_part parts[3];
    uint8_t payload[MESSAGE_RECEIPT_MAX], signature[crypto_sign_BYTES];
    size_t length = 0, signature_length = 0;
    memset(out, 0, sizeof(*out));
    if (strlen(text) > MESSAGE_RECEIPT_MAX || !jws_split(parts, text, strlen(text)) ||
        !jws_decode(payload, sizeof(payload), &length, &parts[1]))
        return RECEIPT_MALFORMED;
    int result = check_header(&parts[0], machine);
    if (result)
        return result;
    if (!jws_decode(signature, sizeof(signature), &signature_length, &parts[2]) ||
        signature_length != sizeof(signature) ||
        crypto_sign_verify_detached(signature, (const uint8_t *)text,
                                    parts[0].length + 1 + parts[1].length, public_key) != 0)
        return RECEIPT_SIGNATURE;
    json_error_t error;
    json_t *o = json_loadb((const char *)payload, length, JSON_REJECT_DUPLICATES, &error);
    if (!o && json_error_code(&error) == json_error_out_of_memory)
        return -ENOMEM;
    result = json_is_object(o) ? read_payload(out, o, machine, token) : RECEIPT_PAYLOAD;
    json_decref(o);
    return result;
}

const char *receipt_describe(char *out, size_t capacity, const struct receipt *r)
{
    static const char *const end_words[] = {"?", "exit", "signal", "errno"};
    static const char *const words[] = {"run", "refused", "not run", "unknown"};
    if (r->decision != RECEIPT_RUN)
        snprintf(out, capacity, "%s: %s", words[r->decision], r->reason);
    else
        snprintf(out, capacity, "%s %d%s%s%s", end_words[r->end], r->value, r->limit[0] ? " (" : "",
                 r->limit, r->limit[0] ? " limit)" : "");
    return out;
}

#include "receipt.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base64url.h"
#include "words.h"

#define SEQ_MAX     ((UINT64_C(1) << 53) - 1)
#define STREAM_MAX  ORDER_OUTPUT_BYTES_MAX
#define DROPPED_MAX SEQ_MAX /* as JSON's numbers are read by everybody (RFC 7493 section 2.2) */
#define SIGNAL_MAX  64
#define ERRNO_MAX   4095
#define HEX(bytes)  (2 * (bytes) + 1)

/* A text that is being written; `full` once something did not fit. */
struct text {
    size_t length;
    bool full;
    char bytes[1536];
};

__attribute__((format(printf, 2, 3))) static void put(struct text *text, const char *format, ...)
{
    size_t space = sizeof text->bytes - text->length;
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text->bytes + text->length, space, format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= space)
        text->full = true;
    else
        text->length += (size_t)n;
}

static void put_hex(struct text *text, const char *name, const uint8_t *bytes, size_t length)
{
    char hex[HEX(32)];
    sodium_bin2hex(hex, sizeof hex, bytes, length);
    put(text, ",\"%s\":\"%s\"", name, hex);
}

static void put_stream(struct text *text, const char *name, const struct receipt_stream *stream)
{
    char member[24];
    put(text, ",\"%s_bytes\":%" PRIu64, name, stream->bytes);
    snprintf(member, sizeof member, "%s_sha256", name);
    put_hex(text, member, stream->sha256, sizeof stream->sha256);
    put(text, ",\"%s_dropped\":%" PRIu64, name, stream->dropped);
}

static void put_time(struct text *text, const char *name, uint64_t time_ms)
{
    if (time_ms)
        put(text, ",\"%s\":%" PRIu64, name, time_ms);
}

static const char *end_member(ipc_CommandEnd end)
{
    switch (end) {
    case ipc_END_EXITED:
        return "exit";
    case ipc_END_SIGNALLED:
        return "signal";
    case ipc_END_NOT_EXECUTED:
        return "errno";
    default:
        return "";
    }
}

static const char *limit_word(ipc_CommandLimit limit)
{
    return limit == ipc_LIMIT_TIME ? "time" : limit == ipc_LIMIT_OUTPUT ? "output" : "";
}

static void put_result(struct text *text, const struct receipt *receipt)
{
    put(text, ",\"%s\":%" PRIu32 ",\"limit\":\"%s\"", end_member(receipt->end), receipt->code,
        limit_word(receipt->limit));
    put_stream(text, "stdout", &receipt->out);
    put_stream(text, "stderr", &receipt->err);
}

static void put_payload(struct text *text, const struct receipt *receipt, const char *machine)
{
    put(text, "{\"typ\":\"cloister-receipt\",\"ver\":1,\"machine\":\"%s\"", machine);
    put_hex(text, "token", receipt->token, sizeof receipt->token);
    if (receipt->has_claims)
        put_hex(text, "jti", receipt->jti, sizeof receipt->jti);
    put(text, ",\"kid\":\"%s\"", receipt->kid);
    if (receipt->has_claims)
        put(text, ",\"seq\":%" PRIu64 ",\"profile\":\"%s\"", receipt->seq,
            profile_word(receipt->profile));
    put(text, ",\"decision\":\"%s\",\"reason\":\"%s\"", receipt_decision_word(receipt->decision),
        receipt->reason);
    if (receipt->decision == RECEIPT_RUN)
        put_result(text, receipt);
    put_time(text, "accepted_ms", receipt->accepted_ms);
    put_time(text, "started_ms", receipt->started_ms);
    put_time(text, "ended_ms", receipt->ended_ms);
    put(text, "}");
}

/* ---------------------------------------------------------------- what can be */

static bool is_made_of(const char *text, size_t capacity, const char *characters, size_t least)
{
    size_t length = strnlen(text, capacity);
    return length < capacity && length >= least && strspn(text, characters) == length;
}

static bool names_are_valid(const struct receipt *receipt)
{
    static const char words[] = "abcdefghijklmnopqrstuvwxyz_";
    static const char kids[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    return is_made_of(receipt->kid, sizeof receipt->kid, kids, 1) &&
           is_made_of(receipt->reason, sizeof receipt->reason, words,
                      receipt->decision != RECEIPT_RUN);
}

static bool claims_are_valid(const struct receipt *receipt)
{
    if (!receipt->has_claims)
        return receipt->decision == RECEIPT_REFUSED;
    return receipt->seq >= 1 && receipt->seq <= SEQ_MAX &&
           receipt->profile >= ipc_PROFILE_DIAGNOSTIC && receipt->profile <= ipc_PROFILE_ADMIN;
}

static bool stream_is_valid(const struct receipt_stream *stream)
{
    return stream->bytes <= STREAM_MAX && stream->dropped <= DROPPED_MAX;
}

static bool code_is_valid(ipc_CommandEnd end, uint32_t code)
{
    switch (end) {
    case ipc_END_EXITED:
        return code <= 255;
    case ipc_END_SIGNALLED:
        return code >= 1 && code <= SIGNAL_MAX;
    case ipc_END_NOT_EXECUTED:
        return code >= 1 && code <= ERRNO_MAX;
    default:
        return false;
    }
}

bool receipt_result_is_valid(const struct receipt *receipt)
{
    return code_is_valid(receipt->end, receipt->code) &&
           (unsigned)receipt->limit <= ipc_LIMIT_OUTPUT && stream_is_valid(&receipt->out) &&
           stream_is_valid(&receipt->err);
}

static bool times_are_valid(const struct receipt *receipt)
{
    return receipt->accepted_ms <= SEQ_MAX && receipt->started_ms <= SEQ_MAX &&
           receipt->ended_ms <= SEQ_MAX;
}

static bool is_valid(const struct receipt *receipt)
{
    return *receipt_decision_word(receipt->decision) && names_are_valid(receipt) &&
           claims_are_valid(receipt) && times_are_valid(receipt) &&
           (receipt->decision != RECEIPT_RUN || receipt_result_is_valid(receipt));
}

/* ---------------------------------------------------------------- the JWS */

static size_t encode(char *out, size_t capacity, const void *bytes, size_t length)
{
    if (BASE64URL_SIZE(length) > capacity)
        return 0;
    base64url_encode(out, bytes, length);
    return BASE64URL_SIZE(length) - 1;
}

size_t receipt_message(char out[RECEIPT_MESSAGE_MAX], const struct receipt *receipt,
                       const uint8_t machine[MACHINE_ID_SIZE])
{
    struct text header = {0}, payload = {0};
    char name[MACHINE_ID_TEXT_SIZE];
    if (!is_valid(receipt))
        return 0;
    machine_id_text(name, machine);
    put(&header, "{\"alg\":\"EdDSA\",\"kid\":\"%s\"}", name);
    put_payload(&payload, receipt, name);
    if (header.full || payload.full)
        return 0;
    size_t length = encode(out, RECEIPT_MESSAGE_MAX, header.bytes, header.length);
    out[length++] = '.';
    size_t rest = encode(out + length, RECEIPT_MESSAGE_MAX - length, payload.bytes, payload.length);
    return rest ? length + rest : 0;
}

size_t receipt_seal(char out[RECEIPT_MAX], size_t length, const uint8_t signature[64])
{
    out[length++] = '.';
    return length + encode(out + length, RECEIPT_MAX - length, signature, 64);
}

const char *receipt_decision_word(enum receipt_decision decision)
{
    switch (decision) {
    case RECEIPT_RUN:
        return "run";
    case RECEIPT_REFUSED:
        return "refused";
    case RECEIPT_NOT_RUN:
        return "not_run";
    case RECEIPT_UNKNOWN:
        return "unknown";
    }
    return "";
}

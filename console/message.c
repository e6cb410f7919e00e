#include "message.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>
#include <sodium.h>

#include "base64url.h"

struct reader {
    json_t *object;
    const char *why; /* the first thing that was wrong, or NULL */
};

static void wrong(struct reader *r, const char *why)
{
    if (!r->why)
        r->why = why;
}

static bool nests_deeper(const json_t *value, unsigned levels)
{
    if (!json_is_object(value) && !json_is_array(value))
        return false;
    if (levels == 0)
        return true;
    /* jansson's iterators take a mutable value but change nothing. */
    json_t *v = (json_t *)(uintptr_t)value;
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(v); i++) {
            if (nests_deeper(json_array_get(v, i), levels - 1))
                return true;
        }
        return false;
    }
    for (void *it = json_object_iter(v); it; it = json_object_iter_next(v, it)) {
        if (nests_deeper(json_object_iter_value(it), levels - 1))
            return true;
    }
    return false;
}

/* Returns the member as a string of low..high bytes, or NULL with the fault noted. */
static const char *read_string(struct reader *r, const char *name, size_t low, size_t high)
{
    const json_t *value = json_object_get(r->object, name);
    if (!json_is_string(value)) {
        wrong(r, name);
        return NULL;
    }
    size_t length = json_string_length(value);
    if (length < low || length > high) {
        wrong(r, name);
        return NULL;
    }
    return json_string_value(value);
}

static void read_text(struct reader *r, const char *name, char *out, size_t low, size_t high)
{
    const char *text = read_string(r, name, low, high);
    if (text)
        memcpy(out, text, strlen(text) + 1);
}

static bool printable(const char *text)
{
    for (; *text; text++) {
        if (*text <= 0x20 || *text >= 0x7f)
            return false;
    }
    return true;
}

static uint64_t read_integer(struct reader *r, const char *name, uint64_t low, uint64_t high)
{
    const json_t *value = json_object_get(r->object, name);
    json_int_t n = json_is_integer(value) ? json_integer_value(value) : -1;
    if (n < 0 || (uint64_t)n < low || (uint64_t)n > high) {
        wrong(r, name);
        return 0;
    }
    return (uint64_t)n;
}

static void read_base64(struct reader *r, const char *name, uint8_t *out, size_t bytes)
{
    size_t length = BASE64URL_SIZE(bytes) - 1;
    const char *text = read_string(r, name, length, length);
    if (text && !base64url_decode_exactly(out, bytes, text, length))
        wrong(r, name);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void read_hex(struct reader *r, const char *name, uint8_t *out, size_t bytes)
{
    const char *text = read_string(r, name, 2 * bytes, 2 * bytes);
    for (size_t i = 0; text && i < bytes; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            wrong(r, name);
            return;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
}

static const char *const reason_words[] = {
    [MESSAGE_REASON_NONE] = "",
    [MESSAGE_REASON_DISK] = "disk",
    [MESSAGE_REASON_BOARD] = "board",
    [MESSAGE_REASON_DISK_BOARD] = "disk+board",
};

const char *message_reason_word(enum message_reason reason)
{
    return reason_words[reason];
}

static void read_rotation(struct reader *r, struct message_authenticate *m)
{
    m->reason = MESSAGE_REASON_NONE;
    bool has_id = json_object_get(r->object, "previous_machine_id") != NULL;
    bool has_reason = json_object_get(r->object, "rotation_reason") != NULL;
    if (has_id != has_reason)
        wrong(r, "rotation_reason");
    if (!has_id || !has_reason)
        return;
    read_hex(r, "previous_machine_id", m->previous_id, sizeof(m->previous_id));
    const char *word = read_string(r, "rotation_reason", 1, 32);
    for (int i = MESSAGE_REASON_DISK; word && i <= MESSAGE_REASON_DISK_BOARD; i++) {
        if (strcmp(word, reason_words[i]) == 0)
            m->reason = (enum message_reason)i;
    }
    if (m->reason == MESSAGE_REASON_NONE)
        wrong(r, "rotation_reason");
}

static bool is_word(const char *text, size_t length)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    return length >= 1 && length <= 32 && strspn(text, allowed) == length;
}

static void read_features(struct reader *r, struct message_authenticate *m)
{
    const json_t *list = json_object_get(r->object, "features");
    if (!list)
        return;
    if (!json_is_array(list) || json_array_size(list) > 32) {
        wrong(r, "features");
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *word = json_array_get(list, i);
        if (!json_is_string(word) || !is_word(json_string_value(word), json_string_length(word))) {
            wrong(r, "features");
            return;
        }
        if (strcmp(json_string_value(word), "commands") == 0)
            m->commands = true;
    }
}

/* docs/wire.md: the name as dialled, ASCII, lower case, without final dot. */
static void read_host(struct reader *r, char out[254])
{
    read_text(r, "host", out, 1, 253);
    if (r->why)
        return;
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_:";
    size_t length = strlen(out);
    if (strspn(out, allowed) != length || out[length - 1] == '.')
        wrong(r, "host");
}

static void read_authenticate(struct reader *r, struct message_authenticate *m)
{
    m->protocol = (uint32_t)read_integer(r, "protocol", 0, UINT32_MAX);
    read_base64(r, "public_key", m->public_key, sizeof(m->public_key));
    read_hex(r, "machine_id", m->machine_id, sizeof(m->machine_id));
    read_host(r, m->host);
    read_base64(r, "signature", m->signature, sizeof(m->signature));
    read_text(r, "agent_version", m->agent_version, 1, sizeof(m->agent_version) - 1);
    read_text(r, "boot_id", m->boot_id, 36, 36);
    read_rotation(r, m);
    read_features(r, m);
}

static void read_enroll(struct reader *r, struct message_enroll *m)
{
    read_text(r, "token", m->token, 16, sizeof(m->token) - 1);
    if (!r->why && !printable(m->token))
        wrong(r, "token");
    read_text(r, "name", m->name, 1, sizeof(m->name) - 1);
    m->os[0] = '\0';
    if (json_object_get(r->object, "os"))
        read_text(r, "os", m->os, 0, sizeof(m->os) - 1);
}

static void read_recipients(struct reader *r, struct message_bundle_begin *m)
{
    const json_t *list = json_object_get(r->object, "recipients");
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count < 1 || count > MESSAGE_RECIPIENTS_MAX) {
        wrong(r, "recipients");
        return;
    }
    m->recipient_count = (unsigned)count;
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, i);
        size_t length = json_string_length(value);
        if (length < 1 || length > sizeof(m->recipients[i]) - 1 ||
            !printable(json_string_value(value))) {
            wrong(r, "recipients");
            return;
        }
        memcpy(m->recipients[i], json_string_value(value), length + 1);
    }
}

static void read_bundle_begin(struct reader *r, struct message_bundle_begin *m)
{
    const uint64_t u53 = (UINT64_C(1) << 53) - 1;
    const uint64_t size_max = (uint64_t)MESSAGE_CHUNKS_MAX * MESSAGE_CHUNK_BYTES;
    read_hex(r, "ticket", m->ticket, sizeof(m->ticket));
    read_hex(r, "digest", m->digest, sizeof(m->digest));
    m->size = read_integer(r, "size", 1, size_max);
    read_integer(r, "chunk_size", MESSAGE_CHUNK_BYTES, MESSAGE_CHUNK_BYTES);
    m->chunks = (uint32_t)read_integer(r, "chunks", 1, MESSAGE_CHUNKS_MAX);
    if (!r->why && m->chunks != (m->size + MESSAGE_CHUNK_BYTES - 1) / MESSAGE_CHUNK_BYTES)
        wrong(r, "chunks");
    read_recipients(r, m);
    m->consent_time_ms = read_integer(r, "consent_time_ms", 0, u53);
    read_base64(r, "signature", m->signature, sizeof(m->signature));
}

static void read_token(struct reader *r, struct message *m)
{
    read_hex(r, "token", m->command.token, sizeof(m->command.token));
}

static void read_decision(struct reader *r, struct message *m)
{
    const json_t *accepted = json_object_get(r->object, "accepted");
    struct message_command *c = &m->command;
    read_token(r, m);
    if (!json_is_boolean(accepted))
        wrong(r, "accepted");
    c->accepted = json_is_true(accepted);
    read_text(r, "reason", c->reason, 1, sizeof(c->reason) - 1);
    if (!r->why && !is_word(c->reason, strlen(c->reason)))
        wrong(r, "reason");
    /* Only these two say that it was taken. */
    bool taken = strcmp(c->reason, "accepted") == 0 || strcmp(c->reason, "revocation") == 0;
    if (!r->why && taken != c->accepted)
        wrong(r, "reason");
    if (json_object_get(r->object, "receipt"))
        read_text(r, "receipt", c->receipt, 1, MESSAGE_RECEIPT_MAX);
}

static void read_receipt(struct reader *r, struct message *m)
{
    read_token(r, m);
    read_text(r, "receipt", m->command.receipt, 1, MESSAGE_RECEIPT_MAX);
}

static void read_authenticate_message(struct reader *r, struct message *m)
{
    read_authenticate(r, &m->authenticate);
}

static void read_enroll_message(struct reader *r, struct message *m)
{
    read_enroll(r, &m->enroll);
}

static void read_begin_message(struct reader *r, struct message *m)
{
    read_bundle_begin(r, &m->begin);
}

static void read_abort_message(struct reader *r, struct message *m)
{
    read_hex(r, "ticket", m->abort.ticket, sizeof(m->abort.ticket));
}

static const struct {
    const char *word;
    enum message_type type;
    void (*read)(struct reader *r, struct message *m);
} types[] = {
    {"authenticate", MESSAGE_AUTHENTICATE, read_authenticate_message},
    {"enroll", MESSAGE_ENROLL, read_enroll_message},
    {"bundle_begin", MESSAGE_BUNDLE_BEGIN, read_begin_message},
    {"bundle_abort", MESSAGE_BUNDLE_ABORT, read_abort_message},
    {"command_decision", MESSAGE_COMMAND_DECISION, read_decision},
    {"command_receipt", MESSAGE_COMMAND_RECEIPT, read_receipt},
    {"command_running", MESSAGE_COMMAND_RUNNING, read_token},
    {"command_unknown", MESSAGE_COMMAND_UNKNOWN, read_token},
};

static int read_by_type(struct reader *r, struct message *out)
{
    const char *word = read_string(r, "type", 1, 32);
    if (!word)
        return MESSAGE_MALFORMED;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(word, types[i].word) == 0) {
            out->type = types[i].type;
            types[i].read(r, out);
            return r->why ? MESSAGE_MALFORMED : 0;
        }
    }
    return MESSAGE_UNKNOWN_TYPE;
}

int message_parse(struct message *out, const char *text, size_t length, const char **why)
{
    memset(out, 0, sizeof(*out));
    struct reader r = {.why = NULL};
    int result = MESSAGE_MALFORMED;
    if (length > MESSAGE_TEXT_MAX) {
        wrong(&r, "length");
    } else {
        json_error_t error;
        r.object = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
        if (!r.object && json_error_code(&error) == json_error_out_of_memory)
            return -ENOMEM;
        if (!json_is_object(r.object))
            wrong(&r, "JSON");
        else if (nests_deeper(r.object, MESSAGE_NESTING_MAX))
            wrong(&r, "nesting");
        else
            result = read_by_type(&r, out);
    }
    json_decref(r.object);
    if (why)
        *why = r.why;
    return result;
}

#include "wire.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base64url.h"
#include "encoding.h"

static const char *const state_names[] = {"unenrolled", "pending", "approved"};

int wire_setup(void)
{
    size_t seed = 0;

    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return -EIO;
    json_object_seed(seed | 1); /* 0 would make jansson open a file */
    return 0;
}

/* One JSON object and whether anything asked of it was missing or out of its limits. */
struct object {
    json_t *json;
    bool bad;
};

static const char *text_of(struct object *object, const json_t *value, size_t min, size_t max)
{
    if (!json_is_string(value) || json_string_length(value) < min ||
        json_string_length(value) > max) {
        object->bad = true;
        return "";
    }
    return json_string_value(value);
}

/* `out` has max + 1 bytes. */
static void get_text(struct object *object, const char *name, size_t min, size_t max, char *out)
{
    strcpy(out, text_of(object, json_object_get(object->json, name), min, max));
}

static uint64_t get_integer(struct object *object, const char *name, uint64_t min, uint64_t max)
{
    const json_t *value = json_object_get(object->json, name);

    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) < min || (uint64_t)json_integer_value(value) > max) {
        object->bad = true;
        return min;
    }
    return (uint64_t)json_integer_value(value);
}

static uint32_t get_u32(struct object *object, const char *name, uint32_t min, uint32_t max)
{
    return (uint32_t)get_integer(object, name, min, max);
}

static void get_hex(struct object *object, const char *name, uint8_t *out, size_t length)
{
    const char *text = text_of(object, json_object_get(object->json, name), 0, WIRE_TEXT_MAX);

    if (!encoding_hex_read(out, length, text, strlen(text)))
        object->bad = true;
}

static void get_state(struct object *object, struct wire_message *out)
{
    char text[32 + 1];

    get_text(object, "state", 1, 32, text);
    for (size_t i = 0; i < sizeof state_names / sizeof *state_names; i++) {
        if (strcmp(text, state_names[i]) == 0) {
            out->state = (enum wire_state)i;
            return;
        }
    }
    object->bad = true;
}

static bool is_word(const char *text)
{
    return text[0] != '\0' && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(text);
}

static void get_word(struct object *object, const char *name, char *out)
{
    get_text(object, name, 1, 32, out);
    if (!is_word(out))
        object->bad = true;
}

static void get_ticket(struct object *object, struct wire_message *out)
{
    get_hex(object, "ticket", out->ticket, sizeof out->ticket);
    out->has_ticket = true;
}

static void get_features(struct object *object, struct wire_message *out)
{
    const json_t *list = json_object_get(object->json, "features");

    if (!list)
        return;
    if (!json_is_array(list) || json_array_size(list) > 32) {
        object->bad = true;
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = text_of(object, json_array_get(list, i), 1, 32);

        if (!is_word(word))
            object->bad = true;
        else if (strcmp(word, "commands") == 0)
            out->commands = true;
    }
}

static void read_challenge(struct object *object, struct wire_message *out)
{
    const char *text =
        text_of(object, json_object_get(object->json, "challenge"), 1, WIRE_TEXT_MAX);

    if (!base64url_decode_exactly(out->challenge, sizeof out->challenge, text, strlen(text)))
        object->bad = true;
    out->protocol = get_u32(object, "protocol", 0, UINT32_MAX);
    get_text(object, "console", 1, 128, out->console);
    get_features(object, out);
}

static void read_welcome(struct object *object, struct wire_message *out)
{
    get_state(object, out);
    out->heartbeat_ms = get_u32(object, "heartbeat_ms", 1000, 600000);
    out->chunk_window = get_u32(object, "chunk_window", 1, 64);
    out->max_bundle_bytes = get_integer(object, "max_bundle_bytes", 0, WIRE_U53_MAX);
    out->time_ms = get_integer(object, "time_ms", 0, WIRE_U53_MAX);
}

static void read_enrolled(struct object *object, struct wire_message *out)
{
    get_state(object, out);
    get_hex(object, "machine_id", out->machine_id, sizeof out->machine_id);
    if (out->state == WIRE_UNENROLLED)
        object->bad = true;
}

static void read_state(struct object *object, struct wire_message *out)
{
    get_state(object, out);
    if (out->state == WIRE_UNENROLLED)
        object->bad = true;
}

static void read_bundle_digests(struct object *object, struct wire_message *out)
{
    get_ticket(object, out);
    out->index = get_u32(object, "next", 0, WIRE_CHUNKS_MAX - 1);
}

static void read_bundle_ready(struct object *object, struct wire_message *out)
{
    get_ticket(object, out);
    out->index = get_u32(object, "have", 0, WIRE_CHUNKS_MAX - 1);
}

static void read_chunk(struct object *object, struct wire_message *out)
{
    get_ticket(object, out);
    out->index = get_u32(object, "index", 0, WIRE_CHUNKS_MAX - 1);
}

static void read_bundle_done(struct object *object, struct wire_message *out)
{
    get_ticket(object, out);
    get_text(object, "number", 8, 24, out->number);
    out->time_ms = get_integer(object, "received_time_ms", 0, WIRE_U53_MAX);
    if (strncmp(out->number, "T-", 2) != 0 ||
        strspn(out->number + 2, "0123456789") != strlen(out->number + 2))
        object->bad = true;
}

static void read_error(struct object *object, struct wire_message *out)
{
    get_word(object, "code", out->code);
    get_text(object, "message", 0, 256, out->text);
    if (json_object_get(object->json, "ticket"))
        get_ticket(object, out);
    if (json_object_get(object->json, "retry_after_ms")) {
        out->retry_after_ms = get_u32(object, "retry_after_ms", 0, UINT32_MAX);
        out->has_retry = true;
    }
}

static void read_command_done(struct object *object, struct wire_message *out)
{
    get_hex(object, "token", out->token, sizeof out->token);
}

static void read_command_counts(struct object *object, struct wire_message *out)
{
    get_hex(object, "token", out->token, sizeof out->token);
    out->stdout_count = get_u32(object, "stdout", 0, UINT32_MAX);
    out->stderr_count = get_u32(object, "stderr", 0, UINT32_MAX);
}

static const struct {
    const char *name;
    void (*read)(struct object *object, struct wire_message *out);
} types[WIRE_TYPE_COUNT] = {
    [WIRE_CHALLENGE] = {"challenge", read_challenge},
    [WIRE_WELCOME] = {"welcome", read_welcome},
    [WIRE_ENROLLED] = {"enrolled", read_enrolled},
    [WIRE_STATE] = {"state", read_state},
    [WIRE_BUNDLE_DIGESTS] = {"bundle_digests", read_bundle_digests},
    [WIRE_BUNDLE_READY] = {"bundle_ready", read_bundle_ready},
    [WIRE_CHUNK] = {"chunk", read_chunk},
    [WIRE_BUNDLE_DONE] = {"bundle_done", read_bundle_done},
    [WIRE_BUNDLE_ABORTED] = {"bundle_aborted", get_ticket},
    [WIRE_ERROR] = {"error", read_error},
    [WIRE_COMMAND_ACK] = {"command_ack", read_command_counts},
    [WIRE_COMMAND_DONE] = {"command_done", read_command_done},
    [WIRE_COMMAND_QUERY] = {"command_query", read_command_counts},
};

/*
 * jansson recurses once per level, up to 2048 of them: count before it gets to see the text. What
 * is not valid JSON may be counted wrongly, and is refused by jansson.
 */
static bool too_deep(const char *text, size_t length)
{
    size_t depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < length; i++) {
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (!in_string && (text[i] == '{' || text[i] == '[') && ++depth > WIRE_DEPTH_MAX)
            return true;
        else if (!in_string && (text[i] == '}' || text[i] == ']') && depth > 0)
            depth--;
    }
    return false;
}

static int read_object(struct wire_message *out, json_t *json, bool commands)
{
    struct object object = {json, false};
    char name[32 + 1];

    if (!json_is_object(json))
        return WIRE_MALFORMED;
    get_word(&object, "type", name);
    if (object.bad)
        return WIRE_MALFORMED;
    for (size_t i = 0; i < (commands ? WIRE_TYPE_COUNT : WIRE_COMMAND_ACK); i++) {
        if (strcmp(types[i].name, name) != 0)
            continue;
        out->type = (enum wire_type)i;
        types[i].read(&object, out);
        return object.bad ? WIRE_MALFORMED : 0;
    }
    return WIRE_UNKNOWN_TYPE;
}

int wire_read(struct wire_message *out, const char *text, size_t length, bool commands)
{
    json_t *json;
    int rc;

    memset(out, 0, sizeof *out);
    if (length > WIRE_TEXT_MAX || too_deep(text, length))
        return WIRE_MALFORMED;
    json = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    if (!json)
        return WIRE_MALFORMED;
    rc = read_object(out, json, commands);
    json_decref(json);
    return rc;
}

int wire_read_frame(struct wire_frame *out, const void *bytes, size_t length)
{
    const uint8_t *frame = bytes;

    if (length < WIRE_HEADER_SIZE)
        return WIRE_MALFORMED;
    out->kind = frame[0];
    memcpy(out->id, frame + 1, WIRE_TOKEN_SIZE);
    out->index = 0;
    for (int i = 0; i < 4; i++)
        out->index |= (uint32_t)frame[1 + WIRE_TOKEN_SIZE + i] << (8 * i);
    out->content = frame + WIRE_HEADER_SIZE;
    out->length = length - WIRE_HEADER_SIZE;
    return 0;
}

uint32_t wire_chunks(uint64_t size)
{
    if (size == 0 || size > (uint64_t)WIRE_CHUNKS_MAX * WIRE_CHUNK_SIZE)
        return 0;
    return (uint32_t)((size - 1) / WIRE_CHUNK_SIZE + 1);
}

uint32_t wire_chunk_length(uint64_t size, uint32_t index)
{
    uint32_t chunks = wire_chunks(size);

    if (index >= chunks)
        return 0;
    return index + 1 < chunks ? WIRE_CHUNK_SIZE
                              : (uint32_t)(size - (uint64_t)index * WIRE_CHUNK_SIZE);
}

const char *wire_state_name(enum wire_state state)
{
    return state_names[state];
}

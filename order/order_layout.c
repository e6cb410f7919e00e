#include "order_layout.h"

#include <string.h>

#define MAGIC "ORD1"

enum {
    AT_SLOT = 4,
    AT_GENERATION = 8,
    AT_PROFILE = 12,
    AT_TOKEN = 16,
    AT_DIGEST = 32,
    AT_TIME = 64,
    AT_OUTPUT = 72,
    AT_ARGC = 80,
    AT_ENVC = 84,
    AT_SCRIPT = 88,
    AT_INPUT = 92,
};

#define PROFILE_LOWEST  1u /* MONITOR_PROFILE_DIAGNOSTIC */
#define PROFILE_HIGHEST 3u /* MONITOR_PROFILE_ADMIN */

/* ---------------------------------------------------------------- integers */

static void put(uint8_t *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *in, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | in[i];
    return value;
}

static uint32_t get32(const uint8_t *in)
{
    return (uint32_t)get(in, 4);
}

/* ---------------------------------------------------------------- the rules */

static bool is_name_character(char c, bool first)
{
    if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_')
        return true;
    return !first && c >= '0' && c <= '9';
}

/* "NAME=value", the name as docs/commands.md allows it. */
static bool is_variable(const char *text)
{
    size_t i = 0;
    while (is_name_character(text[i], i == 0))
        i++;
    return i > 0 && text[i] == '=';
}

bool order_names_interpreter(const uint8_t *script, size_t length)
{
    size_t i = 2;
    if (length < 3 || memcmp(script, "#!", 2) != 0)
        return false;
    while (i < length && (script[i] == ' ' || script[i] == '\t'))
        i++;
    return i < length && script[i] == '/';
}

static bool limits_hold(const struct order *order)
{
    return order->profile >= PROFILE_LOWEST && order->profile <= PROFILE_HIGHEST &&
           order->time_ms > 0 && order->time_ms <= ORDER_TIME_MS_MAX &&
           order->output_bytes <= ORDER_OUTPUT_BYTES_MAX && order->argc <= ORDER_TEXTS_MAX &&
           order->envc <= ORDER_TEXTS_MAX && (order->argc > 0 || order->script_length > 0);
}

static bool program_is_named(const struct order *order)
{
    if (order->script_length > 0)
        return order_names_interpreter(order->script, order->script_length);
    return order->argv[0][0] == '/';
}

static bool environment_holds(const struct order *order)
{
    for (uint32_t i = 0; i < order->envc; i++)
        if (!is_variable(order->env[i]))
            return false;
    return true;
}

bool order_keeps_rules(const struct order *order)
{
    return limits_hold(order) && program_is_named(order) && environment_holds(order);
}

/* ---------------------------------------------------------------- head */

void order_write_head(uint8_t *out, const struct order *order,
                      const uint8_t digest[ORDER_DIGEST_SIZE])
{
    memcpy(out, MAGIC, 4);
    put(out + AT_SLOT, order->slot, 4);
    put(out + AT_GENERATION, order->generation, 4);
    put(out + AT_PROFILE, order->profile, 4);
    memcpy(out + AT_TOKEN, order->token, ORDER_TOKEN_SIZE);
    memcpy(out + AT_DIGEST, digest, ORDER_DIGEST_SIZE);
    put(out + AT_TIME, order->time_ms, 8);
    put(out + AT_OUTPUT, order->output_bytes, 8);
    put(out + AT_ARGC, order->argc, 4);
    put(out + AT_ENVC, order->envc, 4);
    put(out + AT_SCRIPT, order->script_length, 4);
    put(out + AT_INPUT, order->input_length, 4);
}

static void read_head(struct order *out, const uint8_t *bytes)
{
    out->slot = get32(bytes + AT_SLOT);
    out->generation = get32(bytes + AT_GENERATION);
    out->profile = get32(bytes + AT_PROFILE);
    memcpy(out->token, bytes + AT_TOKEN, ORDER_TOKEN_SIZE);
    memcpy(out->digest, bytes + AT_DIGEST, ORDER_DIGEST_SIZE);
    out->time_ms = get(bytes + AT_TIME, 8);
    out->output_bytes = get(bytes + AT_OUTPUT, 8);
    out->argc = get32(bytes + AT_ARGC);
    out->envc = get32(bytes + AT_ENVC);
    out->script_length = get32(bytes + AT_SCRIPT);
    out->input_length = get32(bytes + AT_INPUT);
}

/* ---------------------------------------------------------------- the whole */

/* Takes `count` texts from the `*left` bytes at `*at`. */
static bool read_texts(const char **texts, uint32_t count, const uint8_t **at, size_t *left)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *end = memchr(*at, '\0', *left);
        if (!end)
            return false;
        texts[i] = (const char *)*at;
        *left -= (size_t)(end + 1 - *at);
        *at = end + 1;
    }
    texts[count] = NULL;
    return true;
}

enum order_outcome order_parse(struct order *out, const uint8_t *bytes, size_t length)
{
    memset(out, 0, sizeof *out);
    if (length < ORDER_HEAD_SIZE || length > ORDER_MAX || memcmp(bytes, MAGIC, 4) != 0)
        return ORDER_MALFORMED;
    read_head(out, bytes);
    const uint8_t *at = bytes + ORDER_HEAD_SIZE;
    size_t left = length - ORDER_HEAD_SIZE;
    if (!limits_hold(out) || out->script_length > left ||
        out->input_length > left - out->script_length)
        return ORDER_MALFORMED;
    left -= out->script_length + out->input_length;
    if (!read_texts(out->argv, out->argc, &at, &left) ||
        !read_texts(out->env, out->envc, &at, &left) || left != 0)
        return ORDER_MALFORMED;
    out->script = at;
    out->input = at + out->script_length;
    return program_is_named(out) && environment_holds(out) ? ORDER_OK : ORDER_MALFORMED;
}

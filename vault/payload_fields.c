#include "payload_fields.h"

#include <string.h>

#include "base64url.h"

#define GROUP_PREFIX   "group:"
#define GROUP_NAME_MAX 47 /* VaultConfig.groups */

static json_t *take(struct payload *p, const char *name)
{
    json_t *member = json_object_get(p->object, name);
    p->taken += member != NULL;
    return member;
}

/* Room for `size` bytes, or NULL. */
static uint8_t *reserve(struct token *out, size_t size)
{
    if (size > sizeof out->storage - out->used)
        return NULL;
    uint8_t *at = out->storage + out->used;
    out->used += size;
    return at;
}

/* Copies a text with its NUL. jansson lets no NUL into one, nor anything that is not UTF-8. */
static const char *copy_text(struct token *out, const json_t *text)
{
    if (!json_is_string(text))
        return NULL;
    size_t size = json_string_length(text) + 1;
    uint8_t *at = reserve(out, size);
    return at ? memcpy(at, json_string_value(text), size) : NULL;
}

bool payload_has(const struct payload *p, const char *name)
{
    return json_object_get(p->object, name) != NULL;
}

bool payload_is_whole(const struct payload *p)
{
    return p->taken == json_object_size(p->object);
}

bool payload_is(struct payload *p, const char *name, const char *value)
{
    const json_t *member = json_object_get(p->object, name);
    bool same = json_is_string(member) && strcmp(json_string_value(member), value) == 0;
    p->taken += same;
    return same;
}

bool payload_integer(struct payload *p, const char *name, uint64_t *out, uint64_t min, uint64_t max)
{
    const json_t *member = take(p, name);
    if (!json_is_integer(member) || json_integer_value(member) < 0)
        return false;
    *out = (uint64_t)json_integer_value(member);
    return *out >= min && *out <= max;
}

/* 0 to 15, or more. */
static uint8_t hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (uint8_t)(c - '0');
    return c >= 'a' && c <= 'f' ? (uint8_t)(c - 'a' + 10) : 0xff;
}

bool payload_hex(struct payload *p, const char *name, uint8_t *out, size_t size)
{
    const json_t *member = take(p, name);
    if (!json_is_string(member) || json_string_length(member) != 2 * size)
        return false;
    const char *text = json_string_value(member);
    for (size_t i = 0; i < size; i++) {
        uint8_t high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if ((high | low) > 15)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool payload_bytes(struct payload *p, const char *name, const uint8_t **out, size_t *length)
{
    const json_t *member = take(p, name);
    if (!json_is_string(member))
        return false;
    size_t capacity = sizeof p->out->storage - p->out->used;
    uint8_t *at = p->out->storage + p->out->used;
    if (!base64url_decode(at, capacity, length, json_string_value(member),
                          json_string_length(member)))
        return false;
    p->out->used += *length;
    *out = *length ? at : NULL;
    return true;
}

bool payload_texts(struct payload *p, const char *name, const char **out, uint32_t *count,
                   uint32_t min, uint32_t max)
{
    const json_t *list = take(p, name);
    size_t size = json_array_size(list);
    if (!json_is_array(list) || size < min || size > max)
        return false;
    for (size_t i = 0; i < size; i++)
        if (!(out[i] = copy_text(p->out, json_array_get(list, i))))
            return false;
    *count = (uint32_t)size;
    return true;
}

static bool is_machine(const char *text)
{
    size_t digits = 0;
    while (hex_digit(text[digits]) <= 15)
        digits++;
    return digits == 64 && text[64] == 0;
}

static bool is_group(const char *text)
{
    size_t prefix = sizeof GROUP_PREFIX - 1;
    if (strncmp(text, GROUP_PREFIX, prefix) != 0)
        return false;
    size_t length = strlen(text + prefix);
    return length >= 1 && length <= GROUP_NAME_MAX;
}

bool payload_audience(struct payload *p)
{
    struct token *out = p->out;
    if (!payload_texts(p, "aud", out->audience, &out->audience_count, 1, TOKEN_AUDIENCES_MAX))
        return false;
    for (uint32_t i = 0; i < out->audience_count; i++)
        if (!is_machine(out->audience[i]) && !is_group(out->audience[i]))
            return false;
    return true;
}

bool payload_profile(struct payload *p)
{
    static const char *const names[] = {"diagnostic", "user", "admin"};
    static const ipc_CommandProfile profiles[] = {ipc_PROFILE_DIAGNOSTIC, ipc_PROFILE_USER,
                                                  ipc_PROFILE_ADMIN};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (payload_is(p, "profile", names[i])) {
            p->out->profile = profiles[i];
            return true;
        }
    }
    return false;
}

static bool is_variable(const char *name)
{
    if (*name == 0 || (*name >= '0' && *name <= '9'))
        return false;
    for (; *name; name++)
        if (!((*name >= 'A' && *name <= 'Z') || (*name >= 'a' && *name <= 'z') ||
              (*name >= '0' && *name <= '9') || *name == '_'))
            return false;
    return true;
}

/* Copies "NAME=value". */
static const char *copy_variable(struct token *out, const char *name, const json_t *value)
{
    size_t length = strlen(name);
    if (!is_variable(name) || !json_is_string(value))
        return NULL;
    uint8_t *at = reserve(out, length + 1);
    if (!at || !copy_text(out, value)) /* which follows it, with its NUL */
        return NULL;
    memcpy(at, name, length);
    at[length] = '=';
    return (const char *)at;
}

bool payload_environment(struct payload *p)
{
    json_t *object = take(p, "env"), *value;
    const char *name;
    if (!json_is_object(object) || json_object_size(object) > TOKEN_ENV_MAX)
        return false;
    json_object_foreach(object, name, value)
    {
        const char *text = copy_variable(p->out, name, value);
        if (!text)
            return false;
        p->out->env[p->out->envc++] = text;
    }
    return true;
}

bool payload_revoked(struct payload *p)
{
    const json_t *list = take(p, "revoked");
    size_t size = json_array_size(list);
    if (!json_is_array(list) || size < 1 || size > TOKEN_REVOKED_MAX)
        return false;
    for (size_t i = 0; i < size; i++) {
        const char *kid = json_string_value(json_array_get(list, i));
        if (!kid || !command_kid_is_valid(kid))
            return false;
        for (size_t k = 0; k < i; k++)
            if (strcmp(kid, p->out->revoked_kids[k]) == 0)
                return false;
        memcpy(p->out->revoked_kids[i], kid, strlen(kid) + 1);
    }
    p->out->revoked_count = (uint32_t)size;
    return true;
}

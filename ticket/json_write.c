#include "json_write.h"

#include <stdio.h>
#include <string.h>

static void put(struct json_write *json, const void *bytes, size_t length)
{
    if (!json->error)
        json->error = locked_bytes_append(&json->text, bytes, length);
}

static size_t continuation(const unsigned char *text, size_t length, size_t need)
{
    if (length < need)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return need;
}

/*
 * The length of the valid UTF-8 sequence (RFC 3629) at `text`, 0 if there is none: no overlong
 * forms, no surrogates, nothing above U+10FFFF.
 */
static size_t sequence(const unsigned char *text, size_t length)
{
    unsigned char first = text[0];
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4 || length < 2)
        return 0;
    if (first < 0xe0)
        return continuation(text, length, 2);
    unsigned char second = text[1];
    if (first < 0xf0) {
        if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f))
            return 0;
        return continuation(text, length, 3);
    }
    if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
        return 0;
    return continuation(text, length, 4);
}

/* Writes one character of text; returns how many bytes of it. */
static size_t put_character(struct json_write *json, const unsigned char *text, size_t length)
{
    char escaped[8];
    size_t valid = sequence(text, length);
    if (valid == 0) {
        put(json, "\\ufffd", 6);
        return 1;
    }
    if (*text == '"' || *text == '\\') {
        escaped[0] = '\\';
        escaped[1] = (char)*text;
        put(json, escaped, 2);
    } else if (*text < 0x20 || *text == 0x7f) {
        put(json, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\u%04x", *text));
    } else {
        put(json, text, valid);
    }
    return valid;
}

static void put_string(struct json_write *json, const char *text, size_t length)
{
    const unsigned char *from = (const unsigned char *)text;
    put(json, "\"", 1);
    for (size_t at = 0; at < length;)
        at += put_character(json, from + at, length - at);
    put(json, "\"", 1);
}

static void begin_value(struct json_write *json, const char *name)
{
    if (json->need_comma)
        put(json, ",", 1);
    json->need_comma = 1;
    if (name) {
        put_string(json, name, strlen(name));
        put(json, ":", 1);
    }
}

void json_begin(struct json_write *json, const char *name, char bracket)
{
    begin_value(json, name);
    put(json, &bracket, 1);
    json->need_comma = 0;
}

void json_end(struct json_write *json, char bracket)
{
    put(json, &bracket, 1);
    json->need_comma = 1;
}

void json_text(struct json_write *json, const char *name, const char *text, size_t length)
{
    begin_value(json, name);
    put_string(json, text, length);
}

void json_number(struct json_write *json, const char *name, uint64_t number)
{
    char digits[24];
    begin_value(json, name);
    put(json, digits, (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number));
}

void json_bool(struct json_write *json, const char *name, int value)
{
    begin_value(json, name);
    put(json, value ? "true" : "false", value ? 4 : 5);
}

int json_write_finish(struct json_write *json, struct locked_bytes *out)
{
    put(json, "\n", 1);
    if (json->error)
        locked_bytes_clear(&json->text);
    *out = locked_bytes_take(&json->text);
    return json->error;
}

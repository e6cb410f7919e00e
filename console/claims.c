#include "claims.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "jws.h"

static void copy_text(char *out, size_t capacity, const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    snprintf(out, capacity, "%s", text ? text : "");
}

/* Appends " text" to what there is, cut at the capacity. */
static void append(char *out, size_t capacity, const char *text)
{
    size_t used = strlen(out);
    snprintf(out + used, capacity - used, "%s%s", used ? " " : "", text ? text : "?");
}

static void append_list(struct claims *c, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        append(c->what, sizeof(c->what), json_string_value(json_array_get(list, i)));
}

/* The decoded part as a JSON object, or NULL. */
static json_t *read_object(const struct jws_part *part, uint8_t **bytes, size_t *length)
{
    *bytes = malloc(part->length);
    if (!*bytes || !jws_decode(*bytes, part->length, length, part))
        return NULL;
    json_t *o = json_loadb((const char *)*bytes, *length, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(o)) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static void read_members(struct claims *out, const json_t *o)
{
    const json_t *expires = json_object_get(o, "exp");
    copy_text(out->id, sizeof(out->id), o, "jti");
    copy_text(out->profile, sizeof(out->profile), o, "profile");
    if (json_is_integer(expires) && json_integer_value(expires) > 0)
        out->expires_s = (uint64_t)json_integer_value(expires);
    if (json_object_get(o, "revoked")) {
        append(out->what, sizeof(out->what), "revokes");
        append_list(out, json_object_get(o, "revoked"));
    } else if (json_object_get(o, "script")) {
        append(out->what, sizeof(out->what), "(script)");
        append_list(out, json_object_get(o, "args"));
    } else {
        append_list(out, json_object_get(o, "argv"));
    }
}

static void read_header(struct claims *out, const struct jws_part *header)
{
    uint8_t *bytes;
    size_t length = 0;
    json_t *o = read_object(header, &bytes, &length);
    copy_text(out->kid, sizeof(out->kid), o, "kid");
    json_decref(o);
    free(bytes);
}

void claims_read(struct claims *out, const char *token, size_t length)
{
    struct jws_part parts[3], inner[3];
    uint8_t *bytes = NULL, *inner_bytes = NULL;
    size_t payload = 0;
    memset(out, 0, sizeof(*out));
    out->compact = jws_split(parts, token, length);
    if (!out->compact)
        return;
    read_header(out, &parts[0]);
    json_t *o = read_object(&parts[1], &bytes, &payload);
    /* A countersigned token holds the token of the first signer. */
    if (!o && bytes && jws_split(inner, (const char *)bytes, payload)) {
        read_header(out, &inner[0]);
        o = read_object(&inner[1], &inner_bytes, &payload);
    }
    if (o)
        read_members(out, o);
    json_decref(o);
    free(inner_bytes);
    free(bytes);
}

#include "envelope.h"

#include <pb_decode.h>

static uint32_t get32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

enum envelope_outcome envelope_parse(struct envelope *out, const uint8_t *data, size_t length)
{
    if (length < ENVELOPE_HEADER)
        return ENVELOPE_SHORT;
    if (get16(data + 2) != IPC_VERSION)
        return ENVELOPE_VERSION;
    struct envelope e = {
        .number = get16(data),
        .request = get32(data + 4),
        .ticket = get32(data + 8),
        .uid = get32(data + 12),
        .body_length = get32(data + 16),
        .blob_length = get32(data + 20),
    };
    e.type = ipc_type_find(e.number);
    if (!e.type)
        return ENVELOPE_TYPE;
    size_t rest = length - ENVELOPE_HEADER;
    if (e.body_length > rest || e.blob_length != rest - e.body_length)
        return ENVELOPE_LENGTHS;
    if (e.body_length > e.type->body_max)
        return ENVELOPE_BODY;
    if (e.blob_length > e.type->blob_max)
        return ENVELOPE_BLOB;
    e.body = data + ENVELOPE_HEADER;
    e.blob = e.body + e.body_length;
    *out = e;
    return ENVELOPE_OK;
}

void envelope_write(uint8_t *out, uint16_t number, uint32_t request, uint32_t body, uint32_t blob)
{
    out[0] = (uint8_t)number;
    out[1] = (uint8_t)(number >> 8);
    out[2] = (uint8_t)IPC_VERSION;
    out[3] = (uint8_t)(IPC_VERSION >> 8);
    envelope_stamp(out, request, 0, 0);
    put32(out + 16, body);
    put32(out + 20, blob);
}

void envelope_stamp(uint8_t *data, uint32_t request, uint32_t ticket, uint32_t uid)
{
    put32(data + 4, request);
    put32(data + 8, ticket);
    put32(data + 12, uid);
}

enum envelope_outcome envelope_decode(const struct envelope *envelope, void *out)
{
    pb_istream_t in = pb_istream_from_buffer(envelope->body, envelope->body_length);
    if (!pb_decode(&in, envelope->type->fields, out) || in.bytes_left != 0)
        return ENVELOPE_BODY;
    return ENVELOPE_OK;
}

const char *envelope_outcome_name(enum envelope_outcome outcome)
{
    switch (outcome) {
    case ENVELOPE_OK:
        return "ok";
    case ENVELOPE_SHORT:
        return "truncated";
    case ENVELOPE_VERSION:
        return "wrong version";
    case ENVELOPE_TYPE:
        return "unknown type";
    case ENVELOPE_LENGTHS:
        return "lengths do not add up";
    case ENVELOPE_BODY:
        return "malformed body";
    case ENVELOPE_BLOB:
        return "oversize blob";
    }
    return "?";
}

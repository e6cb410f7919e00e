/* What the agent says: the half of wire.h that writes. */
#include "wire.h"

#include <jansson.h>
#include <string.h>

#include "base64url.h"
#include "encoding.h"

/* Takes over `json`. */
static char *dump(json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    return text;
}

char *wire_write_authenticate(const struct wire_authenticate *authenticate)
{
    char key[BASE64URL_SIZE(WIRE_KEY_SIZE)];
    char id[ENCODING_HEX_SIZE(WIRE_DIGEST_SIZE)];
    char previous[ENCODING_HEX_SIZE(WIRE_DIGEST_SIZE)];
    char signature[BASE64URL_SIZE(WIRE_SIGNATURE_SIZE)];
    const uint8_t *previous_id = authenticate->previous_machine_id;

    base64url_encode(key, authenticate->public_key, WIRE_KEY_SIZE);
    encoding_hex(id, authenticate->machine_id, WIRE_DIGEST_SIZE);
    base64url_encode(signature, authenticate->signature, WIRE_SIGNATURE_SIZE);
    if (previous_id)
        encoding_hex(previous, previous_id, WIRE_DIGEST_SIZE);
    return dump(json_pack(
        "{s:s,s:i,s:s,s:s,s:s,s:s,s:s,s:s,s:s*,s:s*,s:o*}", "type", "authenticate", "protocol",
        WIRE_PROTOCOL, "public_key", key, "machine_id", id, "host", authenticate->host,
        "agent_version", authenticate->agent_version, "boot_id", authenticate->boot_id, "signature",
        signature, "previous_machine_id", previous_id ? previous : NULL, "rotation_reason",
        previous_id ? authenticate->rotation_reason : NULL, "features",
        authenticate->commands ? json_pack("[s]", "commands") : NULL));
}

char *wire_write_enroll(const char *token, const char *name, const char *os)
{
    return dump(
        json_pack("{s:s,s:s,s:s,s:s*}", "type", "enroll", "token", token, "name", name, "os", os));
}

static json_t *recipients_of(const struct wire_bundle *bundle)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < bundle->recipient_count; i++)
        json_array_append_new(list, json_string(bundle->recipients[i]));
    return list;
}

char *wire_write_bundle_begin(const struct wire_bundle *bundle)
{
    char ticket[ENCODING_HEX_SIZE(WIRE_TICKET_SIZE)];
    char digest[ENCODING_HEX_SIZE(WIRE_DIGEST_SIZE)];
    char signature[BASE64URL_SIZE(WIRE_SIGNATURE_SIZE)];

    encoding_hex(ticket, bundle->ticket, WIRE_TICKET_SIZE);
    encoding_hex(digest, bundle->digest, WIRE_DIGEST_SIZE);
    base64url_encode(signature, bundle->signature, WIRE_SIGNATURE_SIZE);
    return dump(json_pack("{s:s,s:s,s:s,s:I,s:i,s:I,s:o,s:I,s:s}", "type", "bundle_begin", "ticket",
                          ticket, "digest", digest, "size", (json_int_t)bundle->size, "chunk_size",
                          WIRE_CHUNK_SIZE, "chunks", (json_int_t)bundle->chunks, "recipients",
                          recipients_of(bundle), "consent_time_ms",
                          (json_int_t)bundle->consent_time_ms, "signature", signature));
}

char *wire_write_bundle_abort(const uint8_t ticket[WIRE_TICKET_SIZE])
{
    char text[ENCODING_HEX_SIZE(WIRE_TICKET_SIZE)];

    encoding_hex(text, ticket, WIRE_TICKET_SIZE);
    return dump(json_pack("{s:s,s:s}", "type", "bundle_abort", "ticket", text));
}

char *wire_write_command_decision(const uint8_t token[WIRE_TOKEN_SIZE], bool accepted,
                                  const char *reason, const char *receipt)
{
    char text[ENCODING_HEX_SIZE(WIRE_TOKEN_SIZE)];

    encoding_hex(text, token, WIRE_TOKEN_SIZE);
    return dump(json_pack("{s:s,s:s,s:b,s:s,s:s*}", "type", "command_decision", "token", text,
                          "accepted", accepted, "reason", reason, "receipt", receipt));
}

char *wire_write_command_receipt(const uint8_t token[WIRE_TOKEN_SIZE], const char *receipt)
{
    char text[ENCODING_HEX_SIZE(WIRE_TOKEN_SIZE)];

    encoding_hex(text, token, WIRE_TOKEN_SIZE);
    return dump(
        json_pack("{s:s,s:s,s:s}", "type", "command_receipt", "token", text, "receipt", receipt));
}

static char *write_about(const char *type, const uint8_t token[WIRE_TOKEN_SIZE])
{
    char text[ENCODING_HEX_SIZE(WIRE_TOKEN_SIZE)];

    encoding_hex(text, token, WIRE_TOKEN_SIZE);
    return dump(json_pack("{s:s,s:s}", "type", type, "token", text));
}

char *wire_write_command_running(const uint8_t token[WIRE_TOKEN_SIZE])
{
    return write_about("command_running", token);
}

char *wire_write_command_unknown(const uint8_t token[WIRE_TOKEN_SIZE])
{
    return write_about("command_unknown", token);
}

void wire_write_header(uint8_t out[WIRE_HEADER_SIZE], enum wire_kind kind,
                       const uint8_t id[WIRE_TICKET_SIZE], uint32_t index)
{
    out[0] = (uint8_t)kind;
    memcpy(out + 1, id, WIRE_TICKET_SIZE);
    for (int i = 0; i < 4; i++)
        out[1 + WIRE_TICKET_SIZE + i] = (uint8_t)(index >> (8 * i));
}

#include "jws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64url.h"
#include "complain.h"
#include "digest.h"

#define HEADER_MAX 128

static const struct {
    const char *before, *kid_characters;
    size_t least, most;
} headers[] = {
    [JWS_COMMAND] = {"{\"alg\":\"ES256\",\"kid\":\"", "abcdefghijklmnopqrstuvwxyz0123456789._-", 1,
                     COMMAND_KID_MAX},
    [JWS_RECEIPT] = {"{\"alg\":\"EdDSA\",\"kid\":\"", "0123456789abcdef", 64, 64},
};
static const char header_end[] = "\"}";

/* Compares with one of the constants; what stands between is the key id. */
static bool is_header(struct jws *out, enum jws_kind kind, const char *header, size_t length)
{
    size_t before = strlen(headers[kind].before), after = sizeof(header_end) - 1;
    if (length < before + after || memcmp(header, headers[kind].before, before) != 0 ||
        memcmp(header + length - after, header_end, after) != 0)
        return false;
    size_t kid = length - before - after;
    if (kid < headers[kind].least || kid > headers[kind].most)
        return false;
    memcpy(out->kid, header + before, kid);
    out->kid[kid] = '\0';
    out->kind = kind;
    return strspn(out->kid, headers[kind].kid_characters) == kid;
}

static bool read_header(struct jws *out, const char *text, size_t length)
{
    char header[HEADER_MAX];
    size_t size;
    return base64url_decode((uint8_t *)header, sizeof(header), &size, text, length) &&
           (is_header(out, JWS_COMMAND, header, size) || is_header(out, JWS_RECEIPT, header, size));
}

static const char *read_payload(struct jws *out, const char *text, size_t length)
{
    out->payload = malloc(length + 1); /* more than it can decode to */
    if (!out->payload)
        return "out of memory";
    if (!base64url_decode((uint8_t *)out->payload, length, &out->payload_length, text, length) ||
        !out->payload_length)
        return "the payload is not canonical base64url";
    out->payload[out->payload_length] = '\0';
    return NULL;
}

static const char *read_parts(struct jws *out, const char *text, size_t length)
{
    const char *first = memchr(text, '.', length);
    const char *second = first ? memchr(first + 1, '.', length - (size_t)(first + 1 - text)) : NULL;
    if (!second)
        return "it is not three parts with a dot between them";
    size_t rest = length - (size_t)(second + 1 - text);
    if (!read_header(out, text, (size_t)(first - text)))
        return "its header is not exactly {\"alg\":\"ES256\",\"kid\":\"<key id>\"}, or that of a "
               "receipt";
    if (!base64url_decode_exactly(out->signature, sizeof(out->signature), second + 1, rest))
        return "its signature is not 64 bytes in canonical base64url";
    out->input = text;
    out->input_length = (size_t)(second - text);
    return read_payload(out, first + 1, (size_t)(second - first - 1));
}

const char *jws_read(struct jws *out, const char *text, size_t length)
{
    *out = (struct jws){0};
    const char *fault =
        length > JWS_BYTES_MAX ? "it is longer than 262144 bytes" : read_parts(out, text, length);
    if (fault)
        jws_free(out);
    return fault;
}

void jws_free(struct jws *jws)
{
    if (jws->payload)
        explicit_bzero(jws->payload, jws->payload_length);
    free(jws->payload);
    *jws = (struct jws){0};
}

bool jws_holds(const struct jws *jws, const struct command_key *key)
{
    return jws->kind == JWS_COMMAND &&
           key_verify(key->point, jws->signature, jws->input, jws->input_length);
}

char *jws_make(EVP_PKEY *key, const char *kid, const char *payload, size_t length)
{
    char header[HEADER_MAX];
    uint8_t signature[KEY_SIGNATURE_SIZE];
    size_t head = (size_t)snprintf(header, sizeof(header), "%s%s%s", headers[JWS_COMMAND].before,
                                   kid, header_end);
    size_t first = BASE64URL_SIZE(head) - 1, signed_length = first + BASE64URL_SIZE(length);
    size_t whole = signed_length + BASE64URL_SIZE(sizeof(signature));
    if (length > JWS_BYTES_MAX || whole > JWS_BYTES_MAX) {
        complain("a shorter script or less standard input",
                 "the token would be longer than %d "
                 "bytes",
                 JWS_BYTES_MAX);
        return NULL;
    }
    char *text = malloc(whole + 1);
    if (!text) {
        complain(NULL, "out of memory");
        return NULL;
    }
    base64url_encode(text, (const uint8_t *)header, head);
    text[first] = '.';
    base64url_encode(text + first + 1, (const uint8_t *)payload, length);
    if (!key_sign(signature, key, text, signed_length)) {
        free(text);
        return NULL;
    }
    text[signed_length] = '.';
    base64url_encode(text + signed_length + 1, signature, sizeof(signature));
    return text;
}

void jws_token_id(char out[33], const char *text, size_t length)
{
    uint8_t digest[DIGEST_SIZE];
    digest_of(digest, text, length);
    digest_hex(out, digest, 16);
}

#include "session_agent.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <sodium.h>

#define CONTEXT  "cloister/v1 console-auth"
#define HOST_MAX 64

void session_agent_base64(char *out, size_t capacity, const void *data, size_t length)
{
    sodium_bin2base64(out, capacity, data, length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static bool read_challenge(uint8_t out[32], const char *text)
{
    size_t length = 0;
    json_t *o = json_loads(text, 0, NULL);
    const char *type = json_string_value(json_object_get(o, "type"));
    const char *word = json_string_value(json_object_get(o, "challenge"));
    bool good = type && word && strcmp(type, "challenge") == 0 &&
                sodium_base642bin(out, 32, word, strlen(word), NULL, &length, NULL,
                                  sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
                length == 32;
    json_decref(o);
    return good;
}

/* What is signed: the context and its NUL, the host's length in two bytes and the host, challenge
 * and exporter. */
static void sign(uint8_t out[64], const struct session_agent *agent, const uint8_t challenge[32],
                 const uint8_t exporter[32])
{
    uint8_t text[sizeof(CONTEXT) + 2 + HOST_MAX + 64] = CONTEXT;
    size_t host = strlen(agent->host), at = sizeof(CONTEXT);
    text[at] = (uint8_t)host;
    at += 2;
    memcpy(text + at, agent->host, host);
    memcpy(text + at + host, challenge, 32);
    memcpy(text + at + host + 32, exporter, 32);
    crypto_sign_detached(out, NULL, text, at + host + 64, agent->secret);
}

size_t session_agent_authenticate(char *out, size_t capacity, const struct session_agent *agent,
                                  const char *challenge, const uint8_t exporter[32])
{
    uint8_t bytes[32], id[32], signature[64];
    char key64[64], signature64[96], hex[65];
    if (strlen(agent->host) > HOST_MAX || !read_challenge(bytes, challenge))
        return 0;
    sign(signature, agent, bytes, exporter);
    crypto_hash_sha256(id, agent->public_key, 32);
    session_agent_base64(key64, sizeof(key64), agent->public_key, 32);
    session_agent_base64(signature64, sizeof(signature64), signature, 64);
    int n = snprintf(out, capacity,
                     "{\"type\":\"authenticate\",\"protocol\":1,\"public_key\":\"%s\","
                     "\"machine_id\":\"%s\",\"host\":\"%s\",\"agent_version\":\"1\","
                     "\"boot_id\":\"6b1c5c3e-6d8f-4a5e-9c39-0f5b8f6f2a11\",\"signature\":\"%s\"%s}",
                     key64, sodium_bin2hex(hex, sizeof(hex), id, 32), agent->host, signature64,
                     agent->commands ? ",\"features\":[\"commands\"]" : "");
    return n < 0 || (size_t)n >= capacity ? 0 : (size_t)n;
}

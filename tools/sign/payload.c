#include "payload.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64url.h"
#include "complain.h"
#include "jwk.h"

#define GROUP_PREFIX   "group:"
#define GROUP_NAME_MAX 47

static const char *const members[] = {"typ", "ver",   "jti",     "aud",           "seq",     "nbf",
                                      "exp", "argv",  "script",  "script_sha256", "profile", "args",
                                      "env", "stdin", "time_ms", "output_bytes"};

static bool is_member(const char *name)
{
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        if (strcmp(name, members[i]) == 0)
            return true;
    return false;
}

static json_t *load(const char *bytes, size_t length)
{
    json_t *root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(root))
        return root;
    json_decref(root);
    return NULL;
}

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

static bool read_integer(uint64_t *out, const json_t *value, uint64_t least, uint64_t most)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return *out >= least && *out <= most;
}

/* An optional one: `out` is left as it is. */
static bool read_option(uint64_t *out, const json_t *value, uint64_t least, uint64_t most)
{
    return !value || read_integer(out, value, least, most);
}

static bool is_texts(const json_t *list, size_t least, size_t most)
{
    if (!json_is_array(list) || json_array_size(list) < least || json_array_size(list) > most)
        return false;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!json_is_string(json_array_get(list, i)))
            return false;
    return true;
}

static const char *text_at(const json_t *list, size_t i)
{
    return json_string_value(json_array_get(list, i));
}

bool payload_is_audience(const char *text)
{
    uint8_t id[DIGEST_SIZE];
    if (strncmp(text, GROUP_PREFIX, sizeof(GROUP_PREFIX) - 1) != 0)
        return digest_read_hex(id, sizeof(id), text);
    size_t length = strlen(text + sizeof(GROUP_PREFIX) - 1);
    return length >= 1 && length <= GROUP_NAME_MAX;
}

bool payload_is_variable(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        bool letter = (text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= 'a' && text[i] <= 'z');
        if (!letter && text[i] != '_' && !(digit && i))
            return false;
    }
    return length > 0;
}

static bool is_env(const json_t *env)
{
    const char *name;
    json_t *value;
    if (!json_is_object(env) || json_object_size(env) > PAYLOAD_ENV_MAX)
        return false;
    json_object_foreach((json_t *)(uintptr_t)env, name, value)
    {
        if (!json_is_string(value) || !payload_is_variable(name, strlen(name)))
            return false;
    }
    return true;
}

static bool read_bytes(uint8_t **out, size_t *length, const json_t *value)
{
    if (!json_is_string(value))
        return false;
    size_t text = json_string_length(value);
    *out = malloc(text + 1);
    return *out && base64url_decode(*out, text, length, json_string_value(value), text);
}

static bool is_script(const uint8_t *script, size_t length)
{
    return length >= 4 && memcmp(script, "#!/", 3) == 0;
}

/* ---- the parts of a command ---- */

static const char *read_script(struct payload_command *out)
{
    uint8_t said[DIGEST_SIZE];
    const json_t *digest = json_object_get(out->root, "script_sha256");
    if (!read_bytes(&out->script, &out->script_length, json_object_get(out->root, "script")))
        return "script is not canonical base64url";
    if (!is_script(out->script, out->script_length))
        return "the script does not begin with #! and an absolute path";
    digest_of(out->digest, out->script, out->script_length);
    if (!json_is_string(digest) ||
        !digest_read_hex(said, sizeof(said), json_string_value(digest)) ||
        memcmp(said, out->digest, sizeof(said)) != 0)
        return "script_sha256 is not the SHA-256 of the script";
    out->args = json_object_get(out->root, "args");
    if (out->args && !is_texts(out->args, 0, PAYLOAD_TEXTS_MAX))
        return "args is not a list of at most 256 texts";
    return NULL;
}

/* The text with its NUL. */
static bool hash_text(EVP_MD_CTX *context, const char *text)
{
    return EVP_DigestUpdate(context, text, strlen(text) + 1) == 1;
}

static bool hash_texts(EVP_MD_CTX *context, const json_t *list)
{
    bool right = true;
    for (size_t i = 0; right && i < json_array_size(list); i++)
        right = hash_text(context, text_at(list, i));
    return right;
}

static bool digest_texts(uint8_t out[DIGEST_SIZE], const json_t *list)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool right = context && EVP_DigestInit(context, EVP_sha256()) == 1 &&
                 hash_texts(context, list) && EVP_DigestFinal(context, out, NULL) == 1;
    EVP_MD_CTX_free(context);
    return right;
}

static bool hash_count(EVP_MD_CTX *context, size_t count)
{
    const uint8_t bytes[] = {(uint8_t)count, (uint8_t)(count >> 8), 0, 0};
    return EVP_DigestUpdate(context, bytes, sizeof(bytes)) == 1;
}

/* "NAME=value" of each. */
static bool hash_env(EVP_MD_CTX *context, const json_t *env)
{
    const char *name;
    json_t *value;
    bool right = true;
    json_object_foreach((json_t *)(uintptr_t)env, name, value)
    {
        right = right && EVP_DigestUpdate(context, name, strlen(name)) == 1 &&
                EVP_DigestUpdate(context, "=", 1) == 1 &&
                hash_text(context, json_string_value(value));
    }
    return right;
}

/* Makes the hash of what is run that of all that decides what it does (order/order.h). */
static bool digest_rest(struct payload_command *command)
{
    const size_t args = json_array_size(command->args), env = json_object_size(command->env);
    if (args == 0 && env == 0 && command->input_length == 0)
        return true;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool right = context && EVP_DigestInit(context, EVP_sha256()) == 1 &&
                 hash_text(context, "cloister/v1 command") &&
                 EVP_DigestUpdate(context, command->digest, DIGEST_SIZE) == 1 &&
                 hash_count(context, args) && hash_texts(context, command->args) &&
                 hash_count(context, env) && hash_env(context, command->env) &&
                 EVP_DigestUpdate(context, command->input, command->input_length) == 1 &&
                 EVP_DigestFinal(context, command->digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    return right;
}

static const char *read_argv(struct payload_command *out)
{
    if (json_object_get(out->root, "args") || json_object_get(out->root, "script_sha256"))
        return "args and script_sha256 belong to a script, not to argv";
    if (!is_texts(out->argv, 1, PAYLOAD_TEXTS_MAX) || text_at(out->argv, 0)[0] != '/')
        return "argv is not 1 to 256 texts, the first of them an absolute path";
    return digest_texts(out->digest, out->argv) ? NULL : "out of memory";
}

static const char *read_what(struct payload_command *out)
{
    out->argv = json_object_get(out->root, "argv");
    bool script = json_object_get(out->root, "script") != NULL;
    if (script == (out->argv != NULL))
        return "there must be either argv or script";
    return script ? read_script(out) : read_argv(out);
}

static const char *read_who(struct payload_command *out)
{
    uint8_t id[16];
    const json_t *jti = json_object_get(out->root, "jti");
    const json_t *profile = json_object_get(out->root, "profile");
    int number = json_is_string(profile) ? jwk_profile(json_string_value(profile)) : -1;
    out->jti = json_string_value(jti);
    out->aud = json_object_get(out->root, "aud");
    out->profile = number > 0 ? (uint32_t)number : 0;
    if (!out->jti || !digest_read_hex(id, sizeof(id), out->jti))
        return "jti is not 32 lower-case hexadecimal digits";
    if (!is_texts(out->aud, 1, PAYLOAD_AUDIENCE_MAX))
        return "aud is not a list of 1 to 64 texts";
    for (size_t i = 0; i < json_array_size(out->aud); i++)
        if (!payload_is_audience(text_at(out->aud, i)))
            return "an audience is neither a machine id (64 lower-case hexadecimal digits) nor "
                   "group:NAME";
    return out->profile ? NULL : "profile is none of diagnostic, user, admin";
}

static const char *read_when(struct payload_command *out)
{
    const json_t *root = out->root;
    if (!read_integer(&out->seq, json_object_get(root, "seq"), 1, PAYLOAD_SEQ_MAX))
        return "seq is not an integer from 1 to 2^53-1";
    if (!read_integer(&out->nbf, json_object_get(root, "nbf"), 0, PAYLOAD_SEQ_MAX) ||
        !read_integer(&out->exp, json_object_get(root, "exp"), 0, PAYLOAD_SEQ_MAX))
        return "nbf and exp are not seconds since 1970";
    return NULL;
}

static const char *read_how(struct payload_command *out)
{
    const json_t *root = out->root, *input = json_object_get(root, "stdin");
    out->time_ms = PAYLOAD_TIME_MS_DEFAULT;
    out->output_bytes = PAYLOAD_OUTPUT_BYTES_DEFAULT;
    out->env = json_object_get(root, "env");
    if (input && !read_bytes(&out->input, &out->input_length, input))
        return "stdin is not canonical base64url";
    if (out->env && !is_env(out->env))
        return "env is not an object of at most 64 texts whose names are of A-Z, a-z, 0-9 and _";
    if (!read_option(&out->time_ms, json_object_get(root, "time_ms"), PAYLOAD_TIME_MS_MIN,
                     PAYLOAD_TIME_MS_MAX))
        return "time_ms is not an integer from 100 to 3600000";
    if (!read_option(&out->output_bytes, json_object_get(root, "output_bytes"), 0,
                     PAYLOAD_OUTPUT_BYTES_MAX))
        return "output_bytes is not an integer from 0 to 1073741824";
    return digest_rest(out) ? NULL : "out of memory";
}

static const char *read_command(struct payload_command *out)
{
    static char unknown[128];
    static const char *(*const parts[])(struct payload_command *) = {read_who, read_when, read_what,
                                                                     read_how};
    const char *name;
    json_t *value;
    if (!is_text(json_object_get(out->root, "typ"), "cloister-command"))
        return "typ is not cloister-command";
    if (json_integer_value(json_object_get(out->root, "ver")) != 1)
        return "ver is not 1";
    json_object_foreach(out->root, name, value)
    {
        if (!is_member(name)) {
            snprintf(unknown, sizeof(unknown), "it has a member that is not known: %.64s",
                     shown(name));
            return unknown;
        }
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const char *fault = parts[i](out);
        if (fault)
            return fault;
    }
    return NULL;
}

const char *payload_read_command(struct payload_command *out, const char *bytes, size_t length)
{
    *out = (struct payload_command){.root = load(bytes, length)};
    const char *fault =
        out->root ? read_command(out) : "it is not one JSON object with each member once";
    if (fault)
        payload_free_command(out);
    return fault;
}

void payload_free_command(struct payload_command *command)
{
    free(command->script);
    free(command->input);
    json_decref(command->root);
    *command = (struct payload_command){0};
}

/* ---- revocations ---- */

static const char *read_revocation(const json_t *root)
{
    const json_t *list = json_object_get(root, "revoked");
    static const char kid[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    if (!is_text(json_object_get(root, "typ"), "cloister-revocation") ||
        json_integer_value(json_object_get(root, "ver")) != 1 || json_object_size(root) != 3)
        return "it is not exactly typ cloister-revocation, ver 1 and revoked";
    if (!is_texts(list, 1, PAYLOAD_REVOKED_MAX))
        return "revoked is not a list of 1 to 8 key ids";
    for (size_t i = 0; i < json_array_size(list); i++) {
        size_t length = strlen(text_at(list, i));
        if (length < 1 || length > COMMAND_KID_MAX || strspn(text_at(list, i), kid) != length)
            return "what is revoked is no key id";
        for (size_t k = 0; k < i; k++)
            if (strcmp(text_at(list, i), text_at(list, k)) == 0)
                return "a key id is there twice";
    }
    return NULL;
}

const char *payload_read_revocation(json_t **list, const char *bytes, size_t length)
{
    json_t *root = load(bytes, length);
    const char *fault =
        root ? read_revocation(root) : "it is not one JSON object with each member once";
    *list = fault ? NULL : json_incref(json_object_get(root, "revoked"));
    json_decref(root);
    return fault;
}

bool payload_is(const char *bytes, size_t length, const char *typ)
{
    json_t *root = load(bytes, length);
    bool is = is_text(json_object_get(root, "typ"), typ);
    json_decref(root);
    return is;
}

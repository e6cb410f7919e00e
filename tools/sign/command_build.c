#include "command_build.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64url.h"
#include "complain.h"
#include "jws.h"
#include "payload.h"

bool command_build_start(struct command_build *build)
{
    build->aud = json_array();
    build->env = json_object();
    build->time_ms = build->output_bytes = UINT64_MAX;
    return build->aud && build->env;
}

bool command_build_audience(struct command_build *build, const char *prefix, const char *name)
{
    char text[128] = "";
    int length = snprintf(text, sizeof(text), "%s%s", prefix, name);
    if (length >= (int)sizeof(text) || (*prefix == '\0') == (strncmp(text, "group:", 6) == 0) ||
        !payload_is_audience(text))
        complain(*prefix ? "allowed: 1 to 47 bytes"
                         : "a machine's id is 64 lower-case hexadecimal digits: 'cloister "
                           "identity' and 'cloister-console machines' show it",
                 "\"%s\" names no %s", shown(name), *prefix ? "group" : "machine");
    else if (json_array_size(build->aud) == PAYLOAD_AUDIENCE_MAX)
        complain(NULL, "there are more than %d machines and groups", PAYLOAD_AUDIENCE_MAX);
    else if (json_array_append_new(build->aud, json_string(text)))
        complain(NULL, "\"%s\" is not UTF-8", shown(name));
    else
        return true;
    return false;
}

bool command_build_env(struct command_build *build, const char *assignment)
{
    const char *value = strchr(assignment, '=');
    char name[256] = "";
    size_t length = value ? (size_t)(value - assignment) : 0;
    if (value && length < sizeof(name))
        memcpy(name, assignment, length);
    if (!payload_is_variable(name, strlen(name)))
        complain("names are of A-Z, a-z, 0-9 and '_', and do not begin with a digit",
                 "--env: \"%s\" is not NAME=VALUE", shown(assignment));
    else if (json_object_get(build->env, name))
        complain(NULL, "--env: %s is given twice", name);
    else if (json_object_size(build->env) == PAYLOAD_ENV_MAX)
        complain(NULL, "--env: there are more than %d", PAYLOAD_ENV_MAX);
    else if (json_object_set_new(build->env, name, json_string(value + 1)))
        complain(NULL, "--env: the value of %s is not UTF-8", name);
    else
        return true;
    return false;
}

bool command_build_file(struct file *out, const char *option, const char *path)
{
    file_free(out);
    int error = file_read(out, path, JWS_BYTES_MAX);
    if (error == -EFBIG)
        complain("a token has at most 262144 bytes", "%s: %s is too long for a token", option,
                 shown(path));
    else if (error)
        complain(NULL, "%s: %s: %s", option, shown(path), strerror(-error));
    return !error;
}

/* Takes over `value`; NULL spoils the object, which is then freed and NULL. */
static void set(json_t **object, const char *name, json_t *value)
{
    if (!*object)
        json_decref(value);
    else if (json_object_set_new(*object, name, value) == 0)
        return;
    json_decref(*object);
    *object = NULL;
}

static json_t *texts(char **words, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < count; i++) {
        if (json_array_append_new(list, json_string(words[i]))) {
            complain("texts in a token are UTF-8; a script can hold any bytes",
                     "\"%s\" is not UTF-8", shown(words[i]));
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static json_t *encoded(const struct file *file)
{
    char *text = malloc(BASE64URL_SIZE(file->length));
    if (!text)
        return NULL;
    base64url_encode(text, file->bytes, file->length);
    json_t *value = json_string(text);
    explicit_bzero(text, BASE64URL_SIZE(file->length));
    free(text);
    return value;
}

static void set_what(json_t **root, const struct command_build *build)
{
    uint8_t digest[DIGEST_SIZE];
    char hex[DIGEST_HEX_SIZE];
    if (!build->script.bytes) {
        set(root, "argv", texts(build->words, build->word_count));
        return;
    }
    digest_of(digest, build->script.bytes, build->script.length);
    digest_hex(hex, digest, sizeof(digest));
    set(root, "script", encoded(&build->script));
    set(root, "script_sha256", json_string(hex));
    if (build->word_count)
        set(root, "args", texts(build->words, build->word_count));
}

char *command_build_payload(const struct command_build *build)
{
    json_t *root =
        json_pack("{s:s, s:i, s:s, s:O, s:I, s:I, s:I, s:s}", "typ", "cloister-command", "ver", 1,
                  "jti", build->jti, "aud", build->aud, "seq", (json_int_t)build->seq, "nbf",
                  (json_int_t)build->nbf, "exp", (json_int_t)build->exp, "profile", build->profile);
    set_what(&root, build);
    if (build->input.length)
        set(&root, "stdin", encoded(&build->input));
    if (json_object_size(build->env))
        set(&root, "env", json_incref(build->env));
    if (build->time_ms != UINT64_MAX)
        set(&root, "time_ms", json_integer((json_int_t)build->time_ms));
    if (build->output_bytes != UINT64_MAX)
        set(&root, "output_bytes", json_integer((json_int_t)build->output_bytes));
    char *payload = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (!payload)
        complain(NULL, "the command cannot be put together: see above, or out of memory");
    return payload;
}

void command_build_free(struct command_build *build)
{
    json_decref(build->aud);
    json_decref(build->env);
    file_free(&build->script);
    file_free(&build->input);
}

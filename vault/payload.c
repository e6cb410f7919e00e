#include "payload.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <string.h>

#include "base64url.h"
#include "order_layout.h"
#include "payload_fields.h"

/*
 * Nothing that is described has more: an object of lists and objects of texts. Checked before
 * jansson sees it, so that neither its recursion nor its many small allocations are a signer's
 * choice.
 */
#define DEPTH_MAX  2
#define COMMAS_MAX 1024

static bool is_modest(const uint8_t *bytes, size_t length)
{
    unsigned depth = 0, commas = 0;
    bool text = false;
    for (size_t i = 0; i < length; i++) {
        uint8_t c = bytes[i];
        if (text && c == '\\')
            i++; /* whatever it is, it does not end the text */
        else if (c == '"')
            text = !text;
        else if (text)
            continue;
        else if ((c == '{' || c == '[') && ++depth > DEPTH_MAX)
            return false;
        else if ((c == '}' || c == ']') && depth-- == 0)
            return false;
        else if (c == ',' && ++commas > COMMAS_MAX)
            return false;
    }
    return true;
}

static bool read_identity(struct payload *p)
{
    return payload_hex(p, "jti", p->out->jti, sizeof p->out->jti) && payload_audience(p) &&
           payload_integer(p, "seq", &p->out->seq, 1, PAYLOAD_INTEGER_MAX) &&
           payload_integer(p, "nbf", &p->out->nbf, 0, PAYLOAD_INTEGER_MAX) &&
           payload_integer(p, "exp", &p->out->exp, 0, PAYLOAD_INTEGER_MAX) && payload_profile(p);
}

static bool read_limits(struct payload *p)
{
    p->out->time_ms = TOKEN_TIME_MS_DEFAULT;
    p->out->output_bytes = TOKEN_OUTPUT_BYTES_DEFAULT;
    return (!payload_has(p, "time_ms") || payload_integer(p, "time_ms", &p->out->time_ms,
                                                          TOKEN_TIME_MS_MIN, ORDER_TIME_MS_MAX)) &&
           (!payload_has(p, "output_bytes") ||
            payload_integer(p, "output_bytes", &p->out->output_bytes, 0, ORDER_OUTPUT_BYTES_MAX));
}

static bool read_argv(struct payload *p)
{
    return payload_texts(p, "argv", p->out->argv, &p->out->argc, 1, ORDER_TEXTS_MAX) &&
           p->out->argv[0][0] == '/';
}

static bool read_script(struct payload *p)
{
    uint8_t said[crypto_hash_sha256_BYTES];
    struct token *out = p->out;
    if (!payload_bytes(p, "script", &out->script, &out->script_length) ||
        !payload_hex(p, "script_sha256", said, sizeof said))
        return false;
    if (!order_names_interpreter(out->script, out->script_length))
        return false;
    crypto_hash_sha256(out->script_digest, out->script, out->script_length);
    return memcmp(out->script_digest, said, sizeof said) == 0 &&
           (!payload_has(p, "args") ||
            payload_texts(p, "args", out->argv, &out->argc, 0, ORDER_TEXTS_MAX));
}

static bool read_command(struct payload *p)
{
    return read_identity(p) && read_limits(p) &&
           (payload_has(p, "script") ? read_script(p) : read_argv(p)) &&
           (!payload_has(p, "stdin") ||
            payload_bytes(p, "stdin", &p->out->input, &p->out->input_length)) &&
           (!payload_has(p, "env") || payload_environment(p));
}

static bool read_any(struct payload *p, enum token_known *known)
{
    uint64_t version;
    if (!payload_integer(p, "ver", &version, 1, 1))
        return false;
    bool command = payload_is(p, "typ", "cloister-command");
    if (!command && !payload_is(p, "typ", "cloister-revocation"))
        return false;
    *known = command ? TOKEN_COMMAND : TOKEN_REVOCATION;
    return (command ? read_command(p) : payload_revoked(p)) && payload_is_whole(p);
}

bool payload_read(struct token *out, const uint8_t *bytes, size_t length)
{
    struct payload p = {.out = out};
    enum token_known known;
    if (!is_modest(bytes, length))
        return false;
    p.object = json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, NULL);
    bool right = json_is_object(p.object) && read_any(&p, &known);
    json_decref(p.object);
    if (right)
        out->known = known;
    return right;
}

int payload_start(size_t seed)
{
    static const char text[] = "{\"a\":[1,\"\\u00e4\"],\"b\":{}}";
    static const char twice[] = "{\"a\":1,\"a\":1}";
    json_object_seed(seed ? seed : 1); /* 0: it would read /dev/urandom at its first object */
    json_t *good = json_loadb(text, sizeof text - 1, JSON_REJECT_DUPLICATES, NULL);
    json_t *bad = json_loadb(twice, sizeof twice - 1, JSON_REJECT_DUPLICATES, NULL);
    bool right = json_is_object(good) && json_object_size(good) == 2 && !bad;
    json_decref(good);
    json_decref(bad);
    return right ? 0 : -EIO;
}

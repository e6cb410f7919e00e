/*
 * What tokens say: the payloads of docs/commands.md, made and read. Reading is as strict as the
 * vault's, so that what is signed here is never refused there for its form. One thread.
 */
#ifndef CLOISTER_SIGN_PAYLOAD_H
#define CLOISTER_SIGN_PAYLOAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digest.h"

#define PAYLOAD_AUDIENCE_MAX         64
#define PAYLOAD_TEXTS_MAX            256
#define PAYLOAD_ENV_MAX              64
#define PAYLOAD_REVOKED_MAX          8
#define PAYLOAD_SEQ_MAX              ((UINT64_C(1) << 53) - 1)
#define PAYLOAD_VALIDITY_MAX_S       604800 /* 7 days */
#define PAYLOAD_TIME_MS_MIN          100
#define PAYLOAD_TIME_MS_MAX          3600000
#define PAYLOAD_TIME_MS_DEFAULT      60000
#define PAYLOAD_OUTPUT_BYTES_MAX     UINT64_C(1073741824)
#define PAYLOAD_OUTPUT_BYTES_DEFAULT 1048576

/* A command. All pointers lead into `root` or are this structure's own. */
struct payload_command {
    json_t *root;
    const char *jti;
    const json_t *aud;
    uint64_t seq, nbf, exp; /* the last two in seconds since 1970 */
    uint32_t profile;       /* enum ipc_CommandProfile */
    const json_t *argv;     /* NULL: it is a script */
    const json_t *args;     /* a script's arguments; NULL: none */
    const json_t *env;      /* NULL: none */
    uint8_t *script;
    size_t script_length;
    uint8_t *input; /* standard input; NULL: empty */
    size_t input_length;
    uint64_t time_ms, output_bytes;
    uint8_t digest[DIGEST_SIZE]; /* the command hash */
};

/*
 * Reads a payload. Returns NULL, or what is wrong with it, a printable sentence that lives until
 * the next call; then *out is empty.
 */
const char *payload_read_command(struct payload_command *out, const char *bytes, size_t length);

/* Frees what it holds. */
void payload_free_command(struct payload_command *command);

/*
 * Reads a list of revoked keys; `list` gets the ids, as a JSON list that the caller owns. Returns
 * as payload_read_command does.
 */
const char *payload_read_revocation(json_t **list, const char *bytes, size_t length);

/* Whether a payload that is a JSON object has that `typ`: to tell what to read it as. */
bool payload_is(const char *bytes, size_t length, const char *typ);

/* Whether `text` is a machine id, or "group:" and a name, as `aud` has them. */
bool payload_is_audience(const char *text);

/* Whether `text` is a name that `env` may have. */
bool payload_is_variable(const char *text, size_t length);

#endif

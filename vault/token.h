/*
 * Tokens: signed commands and revocations, from the bytes that a console passed on to what they
 * say. docs/commands.md is the contract; the checks are made in its order, and those that need no
 * clock, no machine and no replay store are all made here.
 *
 * Nothing of a payload is parsed before its signature was found right under a built-in key that is
 * not revoked. Of a countersigned token the inner one is authenticated in the same way before
 * anything of it is parsed.
 *
 * After token_verifier_new() nothing here opens a file, asks for randomness, or loads anything, so
 * that all else may run behind the worker's lock. One thread at a time.
 */
#ifndef CLOISTER_VAULT_TOKEN_H
#define CLOISTER_VAULT_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cloister.pb.h"
#include "command_keys.h"
#include "order.h"

#define TOKEN_BYTES_MAX     262144
#define TOKEN_PAYLOAD_MAX   (TOKEN_BYTES_MAX / 4 * 3)
#define TOKEN_AUDIENCES_MAX 64
#define TOKEN_ENV_MAX       64
#define TOKEN_REVOKED_MAX   8
#define TOKEN_SUMMARY_SIZE  96
#define TOKEN_VALIDITY_MAX  UINT64_C(604800) /* seconds: 7 days */

#define TOKEN_TIME_MS_MIN          100
#define TOKEN_TIME_MS_DEFAULT      60000
#define TOKEN_OUTPUT_BYTES_DEFAULT 1048576

/* Which members of struct token are filled. */
enum token_known {
    TOKEN_UNKNOWN = 0,    /* id alone, and not even that if the token was too long */
    TOKEN_AUTHENTIC = 1,  /* key and kid too: whose signature it has */
    TOKEN_COMMAND = 2,    /* everything but `revoked_*` */
    TOKEN_REVOCATION = 3, /* id, key, kid and `revoked_*` */
};

/*
 * What a token says. Large (some 200 KiB): make it static. All pointers lead into `storage`, so
 * it cannot be copied by assignment; it stays as it is until token_verify() fills it again.
 */
struct token {
    uint8_t id[ORDER_TOKEN_SIZE]; /* the first bytes of the SHA-256 of all its bytes */
    enum token_known known;
    uint32_t key; /* row of the table: the signer; of a countersigned token the inner */
    char kid[COMMAND_KID_MAX + 1];

    uint8_t jti[16];
    uint64_t seq;      /* 1 to 2^53-1 */
    uint64_t nbf, exp; /* seconds since 1970, at most 2^53-1 */
    ipc_CommandProfile profile;
    uint32_t audience_count;
    const char *audience[TOKEN_AUDIENCES_MAX];

    uint32_t argc; /* of argv; of a script its arguments */
    const char *argv[ORDER_TEXTS_MAX];
    uint32_t envc;
    const char *env[TOKEN_ENV_MAX]; /* "NAME=value" */
    const uint8_t *script;          /* NULL: it is an argv command */
    size_t script_length;
    uint8_t script_digest[32]; /* its SHA-256; zero without one */
    const uint8_t *input;      /* standard input; NULL if empty */
    size_t input_length;
    uint64_t time_ms, output_bytes;
    char summary[TOKEN_SUMMARY_SIZE]; /* what would be run, one line of printable ASCII; "+env" and
                                         "+stdin" behind it where there is any */

    uint32_t revoked_count;
    char revoked_kids[TOKEN_REVOKED_MAX][COMMAND_KID_MAX + 1]; /* all that it names */
    uint32_t revoked_mask; /* those of them that are in this table, bit i for row i */

    size_t used;
    uint8_t storage[TOKEN_PAYLOAD_MAX];
};

struct token_verifier;

/*
 * Makes a verifier for `table`, which it copies. Prepares all that OpenSSL and jansson will need,
 * and checks both with a known answer. Call it once, before the lock; libsodium must have been
 * initialised.
 *
 * Returns 0; -EINVAL if command_keys_flaw() finds the table wrong; -ENOMEM; -EIO if OpenSSL or
 * jansson do not do what they should.
 */
int token_verifier_new(struct token_verifier **out, const struct command_keys *table);
struct token_verifier *token_verifier_free(struct token_verifier *verifier);

/* The verifier's table. */
const struct command_keys *token_verifier_keys(const struct token_verifier *verifier);

/*
 * Verifies `length` bytes and reads them into `out`. Bit i of `revoked` says that the key in row i
 * is revoked.
 *
 * Returns
 *   DECISION_ACCEPTED    a command which passes all that can be checked here (TOKEN_COMMAND)
 *   DECISION_REVOCATION  a list of keys which its signer may revoke (TOKEN_REVOCATION)
 *   NO_KEYS, TOO_LONG, MALFORMED, HEADER, SIGNATURE: not authentic (TOKEN_UNKNOWN)
 *   REVOKED              (TOKEN_AUTHENTIC)
 *   PAYLOAD              (TOKEN_AUTHENTIC)
 *   COUNTERSIGNATURE     (TOKEN_COMMAND, but TOKEN_AUTHENTIC if the inner token's key only
 *                        countersigns)
 *   PROFILE              (TOKEN_COMMAND, or TOKEN_REVOCATION of keys that are not its signer's)
 * If the inner one of a countersigned token is not authentic, the reason is why that is not.
 */
ipc_Decision token_verify(struct token_verifier *verifier, struct token *out, const uint8_t *bytes,
                          size_t length, uint32_t revoked);

/*
 * Whether a command is meant for this machine: by `machine`, its id (64 hexadecimal digits, NUL),
 * or by one of its groups (names without "group:").
 */
bool token_is_for(const struct token *token, const char *machine, const char *const groups[],
                  size_t group_count);

/* DECISION_ACCEPTED; DECISION_VALIDITY unless nbf < exp <= nbf + 7 days. */
ipc_Decision token_validity(const struct token *token);

/*
 * DECISION_ACCEPTED from nbf on and before exp, else DECISION_NOT_YET_VALID or DECISION_EXPIRED.
 * `unix_ms` is milliseconds since 1970.
 */
ipc_Decision token_window(const struct token *token, uint64_t unix_ms);

/*
 * Fills `out` with what a runner is to do for a command. Its pointers lead into `token`; its digest
 * is zero, order_write() and order_digest() compute it. Whatever token_verify() accepted fits into
 * ORDER_MAX bytes.
 */
void token_order(struct order *out, const struct token *token, uint32_t slot, uint32_t generation);

#endif

/*
 * An order: what one runner is to do, as the vault writes it down for it.
 *
 *   offset  bytes
 *        0      4  magic "ORD1"
 *        4      4  slot         the runner instance that it is for
 *        8      4  generation
 *       12      4  profile      enum monitor_profile
 *       16     16  token        first bytes of the SHA-256 of the signed token
 *       32     32  digest       the command hash, below
 *       64      8  time_ms      the command is ended when it has run for so long
 *       72      8  output_bytes both streams together; more is not kept, and ends the command
 *       80      4  argc         texts of argv, 1 to ORDER_TEXTS_MAX; for a script its arguments,
 *                               0 to ORDER_TEXTS_MAX
 *       84      4  envc         texts of the environment, "NAME=value", 0 to ORDER_TEXTS_MAX
 *       88      4  script       bytes of the script, 0: there is none
 *       92      4  input        bytes of standard input
 *       96         argv and then environment, each text ended by NUL, none with a NUL inside; then
 *                  the script; then standard input; and then the end, exactly
 *
 * Integers are little-endian. An argv command's argv[0] is the absolute path of the program. A
 * script begins with "#!" and an absolute path.
 *
 * The command hash, which the local policy may list (docs/commands.md): of a script, the SHA-256 of
 * its bytes; otherwise the SHA-256 of the texts of argv, each with its NUL. Where there are
 * arguments of a script, an environment or standard input, which can change what either does, the
 * SHA-256 of "cloister/v1 command" NUL, that hash, the number of arguments (4 bytes), these, the
 * number of the environment's texts (4 bytes), these, and standard input.
 *
 * The order's tag is crypto_auth (HMAC-SHA-512-256) under the key of the monitor's grant over
 * "cloister/v1 order" NUL and the order's bytes.
 *
 * Pure functions but for their output; any thread. libsodium must have been initialised.
 */
#ifndef CLOISTER_ORDER_H
#define CLOISTER_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "grant.h"

#define ORDER_HEAD_SIZE   96
#define ORDER_MAX         262144 /* bytes of a whole order */
#define ORDER_TEXTS_MAX   256    /* of argv, and of the environment */
#define ORDER_TAG_SIZE    32
#define ORDER_TOKEN_SIZE  16
#define ORDER_DIGEST_SIZE 32

/* Bounds of what a command may ask for, whatever its profile. */
#define ORDER_TIME_MS_MAX      UINT64_C(3600000)    /* an hour */
#define ORDER_OUTPUT_BYTES_MAX UINT64_C(1073741824) /* 1 GiB */

/* All pointers lead into the caller's bytes, and live as long as these. */
struct order {
    uint32_t slot, generation, profile;
    uint8_t token[ORDER_TOKEN_SIZE];
    uint8_t digest[ORDER_DIGEST_SIZE];
    uint64_t time_ms, output_bytes;
    uint32_t argc, envc;
    const char *argv[ORDER_TEXTS_MAX + 1]; /* NULL at the end */
    const char *env[ORDER_TEXTS_MAX + 1];
    const uint8_t *script;
    size_t script_length;
    const uint8_t *input;
    size_t input_length;
};

enum order_outcome {
    ORDER_OK = 0,
    ORDER_MALFORMED, /* lengths that do not add up, a text without its end, limits out of bounds */
    ORDER_FORGED,    /* the tag is not that of these bytes under the grant's key */
    ORDER_MISPLACED, /* it is for another instance, profile or command than the grant's */
};

/*
 * Writes `order` to `out`, the digest of which is computed here (order->digest is not looked at).
 * Returns its length, or 0 if it is longer than `capacity` or breaks a rule above.
 */
size_t order_write(uint8_t *out, size_t capacity, const struct order *order);

/* Reads `length` bytes, checking every rule above, the digest included. */
enum order_outcome order_read(struct order *out, const uint8_t *bytes, size_t length);

/* The command hash of what `order` says is to be run. */
void order_digest(uint8_t out[ORDER_DIGEST_SIZE], const struct order *order);

/* Computes the tag of an order's bytes. */
void order_tag(uint8_t tag[ORDER_TAG_SIZE], const uint8_t *bytes, size_t length,
               const uint8_t key[GRANT_KEY_SIZE]);

/*
 * Checks the tag in constant time, and only then reads the order, which must be for the instance,
 * profile and digest of the grant.
 */
enum order_outcome order_accept(struct order *out, const uint8_t *bytes, size_t length,
                                const uint8_t tag[ORDER_TAG_SIZE], const struct grant *grant);

/* A word for a log line. */
const char *order_outcome_name(enum order_outcome outcome);

#endif

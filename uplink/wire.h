/*
 * The words of the wire (docs/wire.md): what the console sends, read into typed and bounded form,
 * and what the agent sends, written. Nothing here knows which message is allowed when; that is
 * session.c.
 *
 * jansson seeds its hash table from a file at first use: wire_setup must be called before the lock.
 * Apart from that, pure functions; any thread.
 */
#ifndef CLOISTER_UPLINK_WIRE_H
#define CLOISTER_UPLINK_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_PROTOCOL    1
#define WIRE_TEXT_MAX    65536
#define WIRE_DEPTH_MAX   8
#define WIRE_CHUNK_SIZE  262144
#define WIRE_CHUNKS_MAX  65536
#define WIRE_HEADER_SIZE 21   /* of a binary frame */
#define WIRE_DIGESTS_MAX 8192 /* in one binary frame */
#define WIRE_BUNDLES_MAX 4    /* under way at once */
#define WIRE_U53_MAX     9007199254740991

#define WIRE_TICKET_SIZE    16
#define WIRE_DIGEST_SIZE    32
#define WIRE_CHALLENGE_SIZE 32
#define WIRE_KEY_SIZE       32
#define WIRE_SIGNATURE_SIZE 64
#define WIRE_RECIPIENTS_MAX 16
#define WIRE_TOKEN_SIZE     16 /* of a token id: the first bytes of the token's SHA-256 */
#define WIRE_TOKEN_MAX      262144
#define WIRE_RECEIPT_MAX    8192
#define WIRE_BINARY_MAX     (WIRE_HEADER_SIZE + 262144)
#define WIRE_COMMANDS_MAX   8      /* open at once */
#define WIRE_OUTPUT_MAX     262144 /* bytes in one chunk of output */
#define WIRE_OUTPUT_WINDOW  16     /* chunks of output that are not acknowledged */

enum wire_kind {
    WIRE_KIND_CHUNK = 1,
    WIRE_KIND_DIGESTS = 2,
    WIRE_KIND_TOKEN = 16,
    WIRE_KIND_STDOUT = 17,
    WIRE_KIND_STDERR = 18,
};

enum wire_type {
    WIRE_CHALLENGE,
    WIRE_WELCOME,
    WIRE_ENROLLED,
    WIRE_STATE,
    WIRE_BUNDLE_DIGESTS,
    WIRE_BUNDLE_READY,
    WIRE_CHUNK,
    WIRE_BUNDLE_DONE,
    WIRE_BUNDLE_ABORTED,
    WIRE_ERROR,
    WIRE_COMMAND_ACK, /* from here on: of the feature `commands` */
    WIRE_COMMAND_DONE,
    WIRE_COMMAND_QUERY,
    WIRE_TYPE_COUNT
};

enum wire_state {
    WIRE_UNENROLLED,
    WIRE_PENDING,
    WIRE_APPROVED,
};

/*
 * One message of the console. Only the members that its type has are set. Texts are valid UTF-8,
 * terminated, without NUL, and hostile.
 */
struct wire_message {
    enum wire_type type;
    uint8_t challenge[WIRE_CHALLENGE_SIZE];
    uint32_t protocol;
    char console[128 + 1];
    bool commands; /* challenge: the console offers the feature */
    enum wire_state state;
    uint32_t heartbeat_ms, chunk_window;
    uint64_t max_bundle_bytes;
    uint64_t time_ms; /* welcome: the console's clock; bundle_done: when it was complete */
    uint8_t machine_id[WIRE_DIGEST_SIZE];
    bool has_ticket; /* always true where the ticket is required */
    uint8_t ticket[WIRE_TICKET_SIZE];
    uint32_t index;      /* chunk: index; bundle_digests: next; bundle_ready: have */
    char number[24 + 1]; /* bundle_done: checked to be T- and at least six digits */
    char code[32 + 1];
    char text[256 + 1]; /* error: message */
    bool has_retry;
    uint32_t retry_after_ms;
    uint8_t token[WIRE_TOKEN_SIZE];      /* command_ack, command_done, command_query */
    uint32_t stdout_count, stderr_count; /* command_ack, command_query: chunks that are stored */
};

/* A binary message of the console. */
struct wire_frame {
    uint8_t kind;
    uint8_t id[WIRE_TOKEN_SIZE];
    uint32_t index;
    const uint8_t *content; /* in the caller's bytes */
    size_t length;
};

enum wire_outcome {
    WIRE_MALFORMED = 1, /* close with 1008 "malformed" */
    WIRE_UNKNOWN_TYPE,  /* close with 1008 "unknown_type" */
};

/* The agent's answer to the challenge. Texts are the caller's; NULL leaves out an optional member.
 */
struct wire_authenticate {
    uint8_t public_key[WIRE_KEY_SIZE];
    uint8_t machine_id[WIRE_DIGEST_SIZE];
    uint8_t signature[WIRE_SIGNATURE_SIZE];
    const char *host, *agent_version, *boot_id;
    const uint8_t *previous_machine_id; /* WIRE_DIGEST_SIZE bytes, or NULL */
    const char *rotation_reason;        /* with previous_machine_id */
    bool commands;                      /* the feature is common to both */
};

struct wire_bundle {
    uint8_t ticket[WIRE_TICKET_SIZE];
    uint8_t digest[WIRE_DIGEST_SIZE];
    uint64_t size;
    uint32_t chunks;
    uint64_t consent_time_ms;
    uint8_t signature[WIRE_SIGNATURE_SIZE];
    size_t recipient_count;
    const char *recipients[WIRE_RECIPIENTS_MAX];
};

/* Prepares the JSON library; before the lock and before any other function. Returns 0 or -EIO. */
int wire_setup(void);

/*
 * Reads one text message; without `commands` the types of that feature are unknown. Returns 0 with
 * all members of `out` that its type has within their limits, or a wire_outcome.
 */
int wire_read(struct wire_message *out, const char *text, size_t length, bool commands);

/*
 * Takes a binary message apart; its kind and index may be anything. Returns 0, or WIRE_MALFORMED
 * when it has no whole header.
 */
int wire_read_frame(struct wire_frame *out, const void *bytes, size_t length);

/*
 * Writers: they return a terminated text for the caller to free(), or NULL when memory is short or
 * a text is not UTF-8.
 */
char *wire_write_authenticate(const struct wire_authenticate *authenticate);
char *wire_write_enroll(const char *token, const char *name, const char *os);
char *wire_write_bundle_begin(const struct wire_bundle *bundle);
char *wire_write_bundle_abort(const uint8_t ticket[WIRE_TICKET_SIZE]);

/* `reason` is a word; `receipt` may be NULL. */
char *wire_write_command_decision(const uint8_t token[WIRE_TOKEN_SIZE], bool accepted,
                                  const char *reason, const char *receipt);
char *wire_write_command_receipt(const uint8_t token[WIRE_TOKEN_SIZE], const char *receipt);
char *wire_write_command_running(const uint8_t token[WIRE_TOKEN_SIZE]);
char *wire_write_command_unknown(const uint8_t token[WIRE_TOKEN_SIZE]);

/* The head of a binary frame: kind, ticket or token id, index in little-endian order. */
void wire_write_header(uint8_t out[WIRE_HEADER_SIZE], enum wire_kind kind,
                       const uint8_t id[WIRE_TICKET_SIZE], uint32_t index);

/* Chunks of a bundle of `size` bytes, or 0 when that is more than WIRE_CHUNKS_MAX or nothing. */
uint32_t wire_chunks(uint64_t size);

/* The length of chunk `index` of a bundle of `size` bytes; 0 when there is no such chunk. */
uint32_t wire_chunk_length(uint64_t size, uint32_t index);

/* "unenrolled", "pending" or "approved". */
const char *wire_state_name(enum wire_state state);

#endif

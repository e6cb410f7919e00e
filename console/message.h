/*
 * What an agent says in text frames: strict decoding of the JSON of docs/wire.md into bounded
 * structures. Everything here reads hostile input.
 *
 * Pure functions; callable from any thread.
 */
#ifndef CONSOLE_MESSAGE_H
#define CONSOLE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits of docs/wire.md. */
#define MESSAGE_TEXT_MAX       65536
#define MESSAGE_NESTING_MAX    8
#define MESSAGE_RECIPIENTS_MAX 16
#define MESSAGE_CHUNK_BYTES    262144
#define MESSAGE_CHUNKS_MAX     65536
#define MESSAGE_PROTOCOL       1
#define MESSAGE_RECEIPT_MAX    8192

enum message_type {
    MESSAGE_AUTHENTICATE,
    MESSAGE_ENROLL,
    MESSAGE_BUNDLE_BEGIN,
    MESSAGE_BUNDLE_ABORT,
    MESSAGE_COMMAND_DECISION,
    MESSAGE_COMMAND_RECEIPT,
    MESSAGE_COMMAND_RUNNING,
    MESSAGE_COMMAND_UNKNOWN,
};

/* Named outcomes of message_parse, beside 0 and -ENOMEM. */
enum message_outcome {
    MESSAGE_MALFORMED = 1,    /* not a message of docs/wire.md */
    MESSAGE_UNKNOWN_TYPE = 2, /* an object with a `type` that version 1 does not define */
};

enum message_reason {
    MESSAGE_REASON_NONE, /* the machine claims no predecessor */
    MESSAGE_REASON_DISK,
    MESSAGE_REASON_BOARD,
    MESSAGE_REASON_DISK_BOARD,
};

struct message_authenticate {
    uint32_t protocol;
    uint8_t public_key[32];
    uint8_t machine_id[32];
    char host[254];
    uint8_t signature[64];
    char agent_version[65];
    char boot_id[37];
    enum message_reason reason;
    uint8_t previous_id[32]; /* valid unless reason is MESSAGE_REASON_NONE */
    bool commands;           /* the agent has the feature `commands` */
};

struct message_enroll {
    char token[129];
    char name[65];
    char os[129]; /* "" when the agent does not say */
};

struct message_bundle_begin {
    uint8_t ticket[16];
    uint8_t digest[32];
    uint64_t size;
    uint32_t chunks;
    unsigned recipient_count;
    char recipients[MESSAGE_RECIPIENTS_MAX][129];
    uint64_t consent_time_ms;
    uint8_t signature[64];
};

struct message_bundle_abort {
    uint8_t ticket[16];
};

/* Of every `command_...`; a member that the type does not have is empty. */
struct message_command {
    uint8_t token[16];
    bool accepted;
    char reason[33]; /* a word */
    char receipt[MESSAGE_RECEIPT_MAX + 1];
};

struct message {
    enum message_type type;
    union {
        struct message_authenticate authenticate;
        struct message_enroll enroll;
        struct message_bundle_begin begin;
        struct message_bundle_abort abort;
        struct message_command command;
    };
};

/*
 * Decodes `length` bytes of `text` (need not be terminated) into `out`. Returns 0, a
 * message_outcome, or -ENOMEM. Holds every bound of docs/wire.md, among them that `chunks` fits
 * `size`; whether a machine id belongs to its key or a signature holds is not looked at. `out` is
 * undefined unless 0 is returned. On MESSAGE_MALFORMED `why`, if not NULL, points to a constant
 * that names the member or rule at fault.
 */
int message_parse(struct message *out, const char *text, size_t length, const char **why);

/* The word of `rotation_reason` for `reason`; "" for MESSAGE_REASON_NONE. A constant. */
const char *message_reason_word(enum message_reason reason);

#endif

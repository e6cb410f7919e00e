#include "replay_record.h"

#include <sodium.h>
#include <string.h>

#include "words.h"

#define BODY_AT     72
#define DIGEST_AT   (REPLAY_RECORD_SIZE - REPLAY_DIGEST_SIZE)
#define MAGIC       "CLRPLY1"
#define KID_SIZE    36 /* as in struct command_key */
#define NUMBER_MAX  ((UINT64_C(1) << 53) - 1)
#define REASON_SIZE RECEIPT_REASON_SIZE

_Static_assert(sizeof MAGIC == 8, "with its NUL");

/*
 * One description of the layout serves both directions: each function below moves a member between
 * the structure and the bytes at the cursor, or, reading, finds that it cannot be.
 */
struct cursor {
    uint8_t *bytes; /* REPLAY_RECORD_SIZE */
    size_t at;
    bool reading;
    bool wrong;
};

static void integer(struct cursor *c, uint64_t *value, size_t size, uint64_t least, uint64_t most)
{
    uint8_t *at = c->bytes + c->at;
    c->at += size;
    if (!c->reading) {
        for (size_t i = 0; i < size; i++)
            at[i] = (uint8_t)(*value >> (8 * i));
        return;
    }
    *value = 0;
    for (size_t i = 0; i < size; i++)
        *value |= (uint64_t)at[i] << (8 * i);
    c->wrong |= *value < least || *value > most;
}

static void number(struct cursor *c, uint64_t *value)
{
    integer(c, value, 8, 0, NUMBER_MAX);
}

static void small(struct cursor *c, uint32_t *value, uint32_t least, uint32_t most)
{
    uint64_t wide = *value;
    integer(c, &wide, 4, least, most);
    *value = (uint32_t)wide;
}

#define ENUMERATION(c, type, member, least, most)                                                  \
    do {                                                                                           \
        uint32_t as_number = (uint32_t)(member);                                                   \
        small(c, &as_number, least, most);                                                         \
        (member) = (type)as_number;                                                                \
    } while (0)

static void bytes(struct cursor *c, uint8_t *value, size_t size)
{
    if (c->reading)
        memcpy(value, c->bytes + c->at, size);
    else
        memcpy(c->bytes + c->at, value, size);
    c->at += size;
}

/* A text of at most `size` - 1 characters from ' ' to '~', padded with NUL to `size` bytes. */
static void text(struct cursor *c, char *value, size_t size)
{
    uint8_t *at = c->bytes + c->at;
    c->at += size;
    if (!c->reading) {
        memset(at, 0, size);
        memcpy(at, value, strnlen(value, size - 1));
        return;
    }
    size_t length = strnlen((const char *)at, size);
    for (size_t i = 0; i < size; i++)
        c->wrong |= i < length ? at[i] < ' ' || at[i] > '~' : at[i] != 0;
    c->wrong |= length == size;
    memcpy(value, at, size);
    value[size - 1] = '\0';
}

static void kid(struct cursor *c, char value[COMMAND_KID_MAX + 1])
{
    static const char characters[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    char padded[KID_SIZE] = "";
    memcpy(padded, value, COMMAND_KID_MAX + 1);
    text(c, padded, sizeof padded);
    size_t length = strlen(padded);
    c->wrong |= length < 1 || length > COMMAND_KID_MAX || strspn(padded, characters) != length;
    memcpy(value, padded, COMMAND_KID_MAX + 1);
    value[COMMAND_KID_MAX] = '\0';
}

static void flag(struct cursor *c, bool *value)
{
    uint32_t wide = *value;
    small(c, &wide, 0, 1);
    *value = wide != 0;
}

/* ---------------------------------------------------------------- the kinds */

static void begin(struct cursor *c, struct replay_begin *value)
{
    bytes(c, value->store, sizeof value->store);
    number(c, &value->epoch_ms);
    integer(c, &value->records, 8, 1, NUMBER_MAX);
    number(c, &value->follows);
}

static void key(struct cursor *c, struct replay_key *value)
{
    kid(c, value->kid);
    number(c, &value->highest);
    flag(c, &value->revoked);
}

static void ids(struct cursor *c, struct replay_ids *value)
{
    small(c, &value->count, 1, REPLAY_IDS_MAX);
    for (uint32_t i = 0; i < value->count && i < REPLAY_IDS_MAX; i++) {
        struct replay_id *id = &value->list[i];
        bytes(c, id->jti, sizeof id->jti);
        integer(c, &id->seq, 8, 1, NUMBER_MAX);
        number(c, &id->exp);
        small(c, &id->key, 0, UINT32_MAX);
    }
}

static void accepted(struct cursor *c, struct replay_command *value)
{
    struct receipt *receipt = &value->receipt;
    value->phase = ipc_COMMAND_ACCEPTED;
    receipt->has_claims = true;
    bytes(c, receipt->token, sizeof receipt->token);
    kid(c, receipt->kid);
    bytes(c, receipt->jti, sizeof receipt->jti);
    integer(c, &receipt->seq, 8, 1, NUMBER_MAX);
    ENUMERATION(c, ipc_CommandProfile, receipt->profile, ipc_PROFILE_DIAGNOSTIC, ipc_PROFILE_ADMIN);
    number(c, &value->exp);
    integer(c, &receipt->accepted_ms, 8, 1, NUMBER_MAX);
    text(c, value->summary, sizeof value->summary);
}

static void started(struct cursor *c, struct replay_command *value)
{
    value->phase = ipc_COMMAND_STARTED;
    bytes(c, value->receipt.token, sizeof value->receipt.token);
    integer(c, &value->receipt.started_ms, 8, 1, NUMBER_MAX);
}

static void stream(struct cursor *c, struct receipt_stream *value)
{
    number(c, &value->bytes);
    number(c, &value->dropped);
    bytes(c, value->sha256, sizeof value->sha256);
}

/* Whether reason and result are such as the decision has. */
static bool fits_decision(const struct receipt *receipt)
{
    switch (receipt->decision) {
    case RECEIPT_RUN:
        return !*receipt->reason && receipt_result_is_valid(receipt);
    case RECEIPT_NOT_RUN:
        return not_run_word(receipt->reason);
    case RECEIPT_UNKNOWN:
        return unknown_word(receipt->reason);
    default:
        return false;
    }
}

static void ended(struct cursor *c, struct replay_command *value)
{
    struct receipt *receipt = &value->receipt;
    value->phase = ipc_COMMAND_ENDED;
    bytes(c, receipt->token, sizeof receipt->token);
    ENUMERATION(c, enum receipt_decision, receipt->decision, RECEIPT_RUN, RECEIPT_UNKNOWN);
    text(c, receipt->reason, REASON_SIZE);
    ENUMERATION(c, ipc_CommandEnd, receipt->end, 0, _ipc_CommandEnd_MAX);
    small(c, &receipt->code, 0, UINT32_MAX);
    ENUMERATION(c, ipc_CommandLimit, receipt->limit, 0, _ipc_CommandLimit_MAX);
    stream(c, &receipt->out);
    stream(c, &receipt->err);
    number(c, &receipt->started_ms);
    integer(c, &receipt->ended_ms, 8, 1, NUMBER_MAX);
    c->wrong |= c->reading && !fits_decision(receipt);
}

static void body(struct cursor *c, struct replay_record *record)
{
    switch (record->kind) {
    case REPLAY_BEGIN:
        begin(c, &record->begin);
        break;
    case REPLAY_KEY:
        key(c, &record->key);
        break;
    case REPLAY_IDS:
        ids(c, &record->ids);
        break;
    case REPLAY_ACCEPTED:
        accepted(c, &record->command);
        break;
    case REPLAY_STARTED:
        started(c, &record->command);
        break;
    case REPLAY_ENDED:
        ended(c, &record->command);
        break;
    case REPLAY_DELIVERED:
        bytes(c, record->token, sizeof record->token);
        break;
    case REPLAY_TIME:
        break;
    }
}

static void layout(struct cursor *c, struct replay_record *record)
{
    char magic[8] = MAGIC;
    bytes(c, (uint8_t *)magic, sizeof magic);
    c->wrong |= memcmp(magic, MAGIC, sizeof magic) != 0;
    ENUMERATION(c, enum replay_kind, record->kind, REPLAY_BEGIN, REPLAY_TIME);
    uint32_t zero = 0;
    small(c, &zero, 0, 0);
    integer(c, &record->generation, 8, 1, NUMBER_MAX);
    number(c, &record->index);
    number(c, &record->time_ms);
    bytes(c, record->previous, sizeof record->previous);
    if (!c->wrong)
        body(c, record);
}

_Static_assert(BODY_AT + 4 + REPLAY_IDS_MAX * 36 <= DIGEST_AT, "the ids fit");
_Static_assert(BODY_AT + 16 + KID_SIZE + 16 + 8 + 4 + 8 + 8 + REPLAY_SUMMARY_SIZE <= DIGEST_AT,
               "an accepted command fits");
_Static_assert(BODY_AT + 16 + 4 + REASON_SIZE + 12 + 2 * 48 + 16 <= DIGEST_AT,
               "the end of a command fits");

/* ---------------------------------------------------------------- whole records */

void replay_record_digest(uint8_t digest[REPLAY_DIGEST_SIZE],
                          const uint8_t record[REPLAY_RECORD_SIZE])
{
    crypto_generichash(digest, REPLAY_DIGEST_SIZE, record, DIGEST_AT, NULL, 0);
}

void replay_record_encode(uint8_t out[REPLAY_RECORD_SIZE], uint8_t digest[REPLAY_DIGEST_SIZE],
                          const struct replay_record *record)
{
    struct replay_record copy = *record;
    struct cursor c = {.bytes = out};
    memset(out, 0, REPLAY_RECORD_SIZE);
    layout(&c, &copy);
    replay_record_digest(digest, out);
    memcpy(out + DIGEST_AT, digest, REPLAY_DIGEST_SIZE);
}

bool replay_record_decode(struct replay_record *out, const uint8_t record[REPLAY_RECORD_SIZE])
{
    uint8_t digest[REPLAY_DIGEST_SIZE], copy[REPLAY_RECORD_SIZE];
    replay_record_digest(digest, record);
    if (memcmp(digest, record + DIGEST_AT, sizeof digest) != 0)
        return false;
    memset(out, 0, sizeof *out);
    memcpy(copy, record, sizeof copy);
    struct cursor c = {.bytes = copy, .reading = true};
    layout(&c, out);
    if (c.wrong)
        return false;
    return sodium_is_zero(copy + c.at, DIGEST_AT - c.at);
}

#include "key_file.h"

#include <sodium.h>
#include <string.h>

#define MAGIC_LEN 8
#define VERSION   1

static const uint8_t secret_magic[MAGIC_LEN] = "CLSTRSEC";
static const uint8_t key_magic[MAGIC_LEN] = "CLSTRKEY";
static const char code_context[] = "cloister/v1 key-file";

_Static_assert(KEY_FILE_CODE_LEN == crypto_generichash_BYTES, "BLAKE2b-256");
_Static_assert(INSTALL_SECRET_FILE_LEN ==
                   MAGIC_LEN + 2 + INSTALL_SECRET_SIZE + crypto_generichash_BYTES,
               "the fields of install.secret");

static void put_integer(uint8_t *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_integer(const uint8_t *in, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | in[i];
    return value;
}

static enum key_file_outcome check_head(const uint8_t *bytes, size_t length, const uint8_t *magic)
{
    if (length < MAGIC_LEN + 2 || memcmp(bytes, magic, MAGIC_LEN) != 0)
        return KEY_FILE_FOREIGN;
    return get_integer(bytes + MAGIC_LEN, 2) == VERSION ? KEY_FILE_GOOD : KEY_FILE_VERSION;
}

void install_secret_encode(uint8_t out[INSTALL_SECRET_FILE_LEN],
                           const uint8_t secret[INSTALL_SECRET_SIZE])
{
    memcpy(out, secret_magic, MAGIC_LEN);
    put_integer(out + 8, VERSION, 2);
    memcpy(out + 10, secret, INSTALL_SECRET_SIZE);
    crypto_generichash(out + 42, crypto_generichash_BYTES, out, 42, NULL, 0);
}

enum key_file_outcome install_secret_decode(uint8_t secret[INSTALL_SECRET_SIZE],
                                            const uint8_t *bytes, size_t length)
{
    enum key_file_outcome outcome = check_head(bytes, length, secret_magic);
    if (outcome)
        return outcome;
    if (length != INSTALL_SECRET_FILE_LEN)
        return KEY_FILE_MALFORMED;
    uint8_t code[crypto_generichash_BYTES];
    crypto_generichash(code, sizeof code, bytes, 42, NULL, 0);
    if (sodium_memcmp(code, bytes + 42, sizeof code) != 0)
        return KEY_FILE_NOT_GENUINE;
    memcpy(secret, bytes + 10, INSTALL_SECRET_SIZE);
    return KEY_FILE_GOOD;
}

/* The code at the end of machine.key: keyed BLAKE2b-256 (RFC 7693) of its context and all before.
 */
static void compute_code(uint8_t code[KEY_FILE_CODE_LEN], const uint8_t *bytes, size_t length,
                         const uint8_t secret[INSTALL_SECRET_SIZE])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, secret, INSTALL_SECRET_SIZE, KEY_FILE_CODE_LEN);
    crypto_generichash_update(&state, (const uint8_t *)code_context, sizeof code_context);
    crypto_generichash_update(&state, bytes, length);
    crypto_generichash_final(&state, code, KEY_FILE_CODE_LEN);
    sodium_memzero(&state, sizeof state);
}

static uint8_t *encode_slot(uint8_t *out, const struct key_slot *slot)
{
    *out++ = (uint8_t)slot->kind;
    memcpy(out, slot->tag, KEY_SLOT_TAG_SIZE);
    out += KEY_SLOT_TAG_SIZE;
    memcpy(out, slot->nonce, KEY_SLOT_NONCE_SIZE);
    out += KEY_SLOT_NONCE_SIZE;
    memcpy(out, slot->box, KEY_SLOT_BOX_SIZE);
    return out + KEY_SLOT_BOX_SIZE;
}

static void decode_slot(struct key_slot *slot, const uint8_t *in)
{
    slot->kind = (enum key_slot_kind) * in++;
    memcpy(slot->tag, in, KEY_SLOT_TAG_SIZE);
    in += KEY_SLOT_TAG_SIZE;
    memcpy(slot->nonce, in, KEY_SLOT_NONCE_SIZE);
    in += KEY_SLOT_NONCE_SIZE;
    memcpy(slot->box, in, KEY_SLOT_BOX_SIZE);
}

size_t key_file_encode(uint8_t out[KEY_FILE_MAX], const struct key_record *record,
                       const uint8_t secret[INSTALL_SECRET_SIZE])
{
    memcpy(out, key_magic, MAGIC_LEN);
    put_integer(out + 8, VERSION, 2);
    out[10] = (uint8_t)record->origin;
    out[11] = record->has_previous ? 1 : 0;
    put_integer(out + 12, record->created_ms, 8);
    memcpy(out + 20, record->public_key, MACHINE_PUBLIC_KEY_SIZE);
    memcpy(out + 52, record->previous_id, MACHINE_ID_SIZE);
    out[84] = (uint8_t)record->slot_count;
    uint8_t *at = out + KEY_FILE_HEAD_LEN;
    for (size_t i = 0; i < record->slot_count; i++)
        at = encode_slot(at, &record->slots[i]);
    compute_code(at, out, (size_t)(at - out), secret);
    return (size_t)(at - out) + KEY_FILE_CODE_LEN;
}

static int slots_are_canonical(const struct key_record *record)
{
    const struct key_slot *slots = record->slots;
    if (record->slot_count == 1)
        return slots[0].kind <= KEY_SLOT_BOARD;
    return slots[0].kind == KEY_SLOT_DISK && slots[1].kind == KEY_SLOT_BOARD;
}

static int is_well_formed(const struct key_record *record, uint8_t previous_flag)
{
    if (record->origin < KEY_ORIGIN_FIRST_START || record->origin > KEY_ORIGIN_RESET)
        return 0;
    if (previous_flag > 1)
        return 0;
    if (!previous_flag && !sodium_is_zero(record->previous_id, MACHINE_ID_SIZE))
        return 0;
    return slots_are_canonical(record);
}

static void decode_fields(struct key_record *out, const uint8_t *bytes)
{
    memset(out, 0, sizeof *out);
    out->origin = (enum key_origin)bytes[10];
    out->has_previous = bytes[11];
    out->created_ms = get_integer(bytes + 12, 8);
    memcpy(out->public_key, bytes + 20, MACHINE_PUBLIC_KEY_SIZE);
    memcpy(out->previous_id, bytes + 52, MACHINE_ID_SIZE);
    out->slot_count = bytes[84];
    for (size_t i = 0; i < out->slot_count; i++)
        decode_slot(&out->slots[i], bytes + KEY_FILE_HEAD_LEN + i * KEY_SLOT_LEN);
}

enum key_file_outcome key_file_decode(struct key_record *out, const uint8_t *bytes, size_t length,
                                      const uint8_t secret[INSTALL_SECRET_SIZE])
{
    enum key_file_outcome outcome = check_head(bytes, length, key_magic);
    if (outcome)
        return outcome;
    if (length < KEY_FILE_HEAD_LEN)
        return KEY_FILE_MALFORMED;
    size_t slots = bytes[84];
    if (slots < 1 || slots > HARDWARE_PARTS ||
        length != KEY_FILE_HEAD_LEN + slots * KEY_SLOT_LEN + KEY_FILE_CODE_LEN)
        return KEY_FILE_MALFORMED;
    uint8_t code[KEY_FILE_CODE_LEN];
    size_t covered = length - KEY_FILE_CODE_LEN;
    compute_code(code, bytes, covered, secret);
    if (sodium_memcmp(code, bytes + covered, sizeof code) != 0)
        return KEY_FILE_NOT_GENUINE;
    decode_fields(out, bytes);
    return is_well_formed(out, bytes[11]) ? KEY_FILE_GOOD : KEY_FILE_MALFORMED;
}

const char *key_file_outcome_text(enum key_file_outcome outcome)
{
    switch (outcome) {
    case KEY_FILE_GOOD:
        return "good";
    case KEY_FILE_FOREIGN:
        return "it does not begin as such a file does";
    case KEY_FILE_VERSION:
        return "it was made by another version of the agent";
    case KEY_FILE_MALFORMED:
        return "its lengths or fields are wrong";
    case KEY_FILE_NOT_GENUINE:
        return "its checksum does not match its content";
    }
    return "unknown";
}

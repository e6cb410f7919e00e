/*
 * The decoders of install.secret and machine.key, and what is done with a record that they accept.
 *
 * The first byte says what the rest is: install.secret, machine.key as it is, or a machine.key
 * whose code is made right first, which lets the fuzzer past it.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "key_file.h"
#include "key_slot.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t secret[INSTALL_SECRET_SIZE] = "an install secret of 32 bytes...";

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return sodium_init() < 0;
}

/* What is accepted has one form: writing it again gives the same bytes. */
static void decode_key(const uint8_t *bytes, size_t length)
{
    struct key_record record;
    uint8_t written[KEY_FILE_MAX], seed[KEY_SEED_SIZE];
    struct hardware hardware;
    if (key_file_decode(&record, bytes, length, secret) != KEY_FILE_GOOD)
        return;
    if (key_file_encode(written, &record, secret) != length || memcmp(written, bytes, length) != 0)
        abort();
    hardware_identify(&hardware.part[HARDWARE_DISK], HARDWARE_READABLE, "D1", 2);
    hardware_identify(&hardware.part[HARDWARE_BOARD], HARDWARE_READABLE, "B1", 2);
    for (size_t i = 0; i < record.slot_count; i++) {
        key_slot_matches(&record.slots[i], &hardware, secret);
        if (key_slot_open(&record.slots[i], &hardware, secret, record.public_key, seed))
            abort(); /* nobody has sealed anything for this secret */
    }
}

static void decode_with_right_code(const uint8_t *data, size_t size)
{
    static const char context[] = "cloister/v1 key-file";
    uint8_t bytes[KEY_FILE_MAX];
    crypto_generichash_state state;
    if (size > sizeof bytes - KEY_FILE_CODE_LEN)
        return;
    memcpy(bytes, data, size);
    crypto_generichash_init(&state, secret, sizeof secret, KEY_FILE_CODE_LEN);
    crypto_generichash_update(&state, (const uint8_t *)context, sizeof context);
    crypto_generichash_update(&state, bytes, size);
    crypto_generichash_final(&state, bytes + size, KEY_FILE_CODE_LEN);
    decode_key(bytes, size + KEY_FILE_CODE_LEN);
}

static void decode_secret(const uint8_t *data, size_t size)
{
    uint8_t read[INSTALL_SECRET_SIZE], written[INSTALL_SECRET_FILE_LEN];
    if (install_secret_decode(read, data, size) != KEY_FILE_GOOD)
        return;
    install_secret_encode(written, read);
    if (size != sizeof written || memcmp(written, data, size) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 3 == 0)
        decode_secret(data + 1, size - 1);
    else if (data[0] % 3 == 1)
        decode_key(data + 1, size - 1);
    else
        decode_with_right_code(data + 1, size - 1);
    return 0;
}

#include "command_keys.h"

#include <openssl/crypto.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "cloister.pb.h"
#include "command_keys_table.h"
#include "es256.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "as the integers of the section");

void command_keys_built_in(struct command_keys *out)
{
    /* Volatile: the section may have been written after the compiler was through. */
    const volatile uint8_t *from = (const volatile uint8_t *)&command_keys_table;
    uint8_t *to = (uint8_t *)out;
    for (size_t i = 0; i < sizeof *out; i++)
        to[i] = from[i];
}

static bool is_zero(const void *bytes, size_t length)
{
    return sodium_is_zero(bytes, length);
}

static bool is_kid_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool command_kid_is_valid(const char *kid)
{
    size_t length = 0;
    while (is_kid_character(kid[length]))
        length++;
    return length >= 1 && length <= COMMAND_KID_MAX && kid[length] == 0;
}

static const char *key_flaw(const struct command_key *key)
{
    struct es256_key *made;
    size_t length = strnlen(key->kid, sizeof key->kid);
    if (!is_zero(key->kid + length, sizeof key->kid - length) || length == sizeof key->kid ||
        !command_kid_is_valid(key->kid))
        return "a key id is not 1 to 32 characters of a-z 0-9 . _ - and NULs";
    if (key->profile > ipc_PROFILE_ADMIN)
        return "a key has an unknown profile";
    if (key->flags & ~(COMMAND_KEY_COUNTERSIGNS | COMMAND_KEY_REVOKES) || key->zero)
        return "a key has unknown flags";
    if (es256_key_new(&made, key->point))
        return "a key is no point of P-256";
    es256_key_free(made);
    return NULL;
}

static const char *pair_flaw(const struct command_key *a, const struct command_key *b)
{
    if (memcmp(a->kid, b->kid, sizeof a->kid) == 0)
        return "a key id stands there twice";
    if (memcmp(a->point, b->point, sizeof a->point) == 0)
        return "a key stands there under two key ids";
    return NULL;
}

const char *command_keys_flaw(const struct command_keys *table)
{
    const char *flaw = NULL;
    if (memcmp(table->magic, COMMAND_KEYS_MAGIC, sizeof table->magic) != 0)
        return "it does not begin with " COMMAND_KEYS_MAGIC;
    if (table->count > COMMAND_KEYS_MAX)
        return "it has too many keys";
    if (table->zero || !is_zero(table->rest, sizeof table->rest) ||
        !is_zero(table->keys + table->count,
                 (COMMAND_KEYS_MAX - table->count) * sizeof *table->keys))
        return "what must be zero is not";
    if (es256_start())
        return "OpenSSL does not start";
    for (uint32_t i = 0; i < table->count && !flaw; i++) {
        flaw = key_flaw(&table->keys[i]);
        for (uint32_t k = 0; k < i && !flaw; k++)
            flaw = pair_flaw(&table->keys[k], &table->keys[i]);
    }
    return flaw;
}

void command_key_fingerprint(char out[COMMAND_FINGERPRINT_SIZE], const struct command_key *key)
{
    /* SubjectPublicKeyInfo of id-ecPublicKey, prime256v1, an uncompressed point (RFC 5480). */
    static const uint8_t before[] = {
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
        0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    };
    static const char prefix[] = "SHA256:";
    uint8_t digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, before, sizeof before);
    crypto_hash_sha256_update(&state, key->point, sizeof key->point);
    crypto_hash_sha256_final(&state, digest);
    memcpy(out, prefix, sizeof prefix - 1);
    sodium_bin2base64(out + sizeof prefix - 1, COMMAND_FINGERPRINT_SIZE - sizeof prefix + 1, digest,
                      sizeof digest, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
}

static void print_key(const struct command_key *key)
{
    static const char *const profiles[] = {"none", "diagnostic", "user", "admin"};
    char fingerprint[COMMAND_FINGERPRINT_SIZE];
    command_key_fingerprint(fingerprint, key);
    printf("%s %s %s%s%s\n", key->kid, fingerprint, profiles[key->profile],
           key->flags & COMMAND_KEY_COUNTERSIGNS ? " countersigns" : "",
           key->flags & COMMAND_KEY_REVOKES ? " revokes" : "");
}

int command_keys_print(void)
{
    struct command_keys table;
    command_keys_built_in(&table);
    const char *flaw = sodium_init() < 0 ? "libsodium does not start" : command_keys_flaw(&table);
    if (flaw) {
        fprintf(stderr, "cloister-vault: the table of command keys is wrong: %s\n", flaw);
        return 1;
    }
    puts("cloister-vault " CLOISTER_VERSION);
    for (uint32_t i = 0; i < table.count; i++)
        print_key(&table.keys[i]);
    return fflush(stdout) != 0 || ferror(stdout);
}

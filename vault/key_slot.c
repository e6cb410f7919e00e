#include "key_slot.h"

#include <sodium.h>
#include <string.h>

_Static_assert(KEY_SLOT_NONCE_SIZE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
_Static_assert(KEY_SLOT_BOX_SIZE == KEY_SEED_SIZE + crypto_aead_xchacha20poly1305_ietf_ABYTES,
               "box");
_Static_assert(KEY_SEED_SIZE == crypto_sign_SEEDBYTES, "seed");

/* The terminating NUL belongs to each. */
static const char tag_context[] = "cloister/v1 identifier-tag";
static const char slot_context[] = "cloister/v1 key-slot";

#define SLOT_KEY_SIZE crypto_aead_xchacha20poly1305_ietf_KEYBYTES
#define BOUND_SIZE    (sizeof slot_context + 1 + MACHINE_PUBLIC_KEY_SIZE)

const struct hardware_identifier *key_slot_identifier(enum key_slot_kind kind,
                                                      const struct hardware *hardware)
{
    static const struct hardware_identifier nothing = {.state = HARDWARE_READABLE};
    switch (kind) {
    case KEY_SLOT_DISK:
        return &hardware->part[HARDWARE_DISK];
    case KEY_SLOT_BOARD:
        return &hardware->part[HARDWARE_BOARD];
    case KEY_SLOT_NOTHING:
        break;
    }
    return &nothing;
}

/* BLAKE2b-256 under the install secret of context, kind, identifier. */
static void derive(uint8_t out[32], const char *context, size_t context_size,
                   enum key_slot_kind kind, const struct hardware *hardware,
                   const uint8_t secret[INSTALL_SECRET_SIZE])
{
    const struct hardware_identifier *id = key_slot_identifier(kind, hardware);
    uint8_t number = (uint8_t)kind;
    crypto_generichash_state state;
    crypto_generichash_init(&state, secret, INSTALL_SECRET_SIZE, 32);
    crypto_generichash_update(&state, (const uint8_t *)context, context_size);
    crypto_generichash_update(&state, &number, 1);
    crypto_generichash_update(&state, (const uint8_t *)id->text, id->length);
    crypto_generichash_final(&state, out, 32);
    sodium_memzero(&state, sizeof state);
}

/* What the box is authenticated with beside its content: purpose, kind and whose seed it is. */
static void bind(uint8_t out[BOUND_SIZE], enum key_slot_kind kind,
                 const uint8_t public_key[MACHINE_PUBLIC_KEY_SIZE])
{
    memcpy(out, slot_context, sizeof slot_context);
    out[sizeof slot_context] = (uint8_t)kind;
    memcpy(out + sizeof slot_context + 1, public_key, MACHINE_PUBLIC_KEY_SIZE);
}

void key_slot_seal(struct key_slot *out, enum key_slot_kind kind, const struct hardware *hardware,
                   const uint8_t secret[INSTALL_SECRET_SIZE], const uint8_t seed[KEY_SEED_SIZE],
                   const uint8_t public_key[MACHINE_PUBLIC_KEY_SIZE])
{
    uint8_t key[SLOT_KEY_SIZE], bound[BOUND_SIZE];
    out->kind = kind;
    derive(out->tag, tag_context, sizeof tag_context, kind, hardware, secret);
    derive(key, slot_context, sizeof slot_context, kind, hardware, secret);
    randombytes_buf(out->nonce, sizeof out->nonce);
    bind(bound, kind, public_key);
    crypto_aead_xchacha20poly1305_ietf_encrypt(out->box, NULL, seed, KEY_SEED_SIZE, bound,
                                               sizeof bound, NULL, out->nonce, key);
    sodium_memzero(key, sizeof key);
    sodium_stackzero(4096);
}

int key_slot_matches(const struct key_slot *slot, const struct hardware *hardware,
                     const uint8_t secret[INSTALL_SECRET_SIZE])
{
    uint8_t tag[KEY_SLOT_TAG_SIZE];
    if (key_slot_identifier(slot->kind, hardware)->state != HARDWARE_READABLE)
        return 0;
    derive(tag, tag_context, sizeof tag_context, slot->kind, hardware, secret);
    return sodium_memcmp(tag, slot->tag, sizeof tag) == 0;
}

/* 1 if the seed's public half is the given one. */
static int belongs(const uint8_t seed[KEY_SEED_SIZE],
                   const uint8_t public_key[MACHINE_PUBLIC_KEY_SIZE])
{
    uint8_t public_half[crypto_sign_PUBLICKEYBYTES], secret_key[crypto_sign_SECRETKEYBYTES];
    crypto_sign_seed_keypair(public_half, secret_key, seed);
    sodium_memzero(secret_key, sizeof secret_key);
    return memcmp(public_half, public_key, MACHINE_PUBLIC_KEY_SIZE) == 0;
}

int key_slot_open(const struct key_slot *slot, const struct hardware *hardware,
                  const uint8_t secret[INSTALL_SECRET_SIZE],
                  const uint8_t public_key[MACHINE_PUBLIC_KEY_SIZE], uint8_t seed[KEY_SEED_SIZE])
{
    uint8_t key[SLOT_KEY_SIZE], bound[BOUND_SIZE];
    if (key_slot_identifier(slot->kind, hardware)->state != HARDWARE_READABLE) {
        sodium_memzero(seed, KEY_SEED_SIZE);
        return 0;
    }
    derive(key, slot_context, sizeof slot_context, slot->kind, hardware, secret);
    bind(bound, slot->kind, public_key);
    int good =
        crypto_aead_xchacha20poly1305_ietf_decrypt(seed, NULL, NULL, slot->box, sizeof slot->box,
                                                   bound, sizeof bound, slot->nonce, key) == 0 &&
        belongs(seed, public_key);
    sodium_memzero(key, sizeof key);
    if (!good)
        sodium_memzero(seed, KEY_SEED_SIZE);
    sodium_stackzero(4096);
    return good;
}

#include "seal.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "little_endian.h"
#include "secret_memory.h"

_Static_assert(SEAL_PUBLIC_KEY_BYTES == crypto_kx_PUBLICKEYBYTES, "crypto_kx");
_Static_assert(SEAL_OVERHEAD == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");
_Static_assert(crypto_kx_SESSIONKEYBYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key");

/* Context, kind, ticket, counter, frame, number, total. */
#define LABEL_CONTEXT "cloister frame seal 1"
#define LABEL_BYTES   (sizeof(LABEL_CONTEXT) + 1 + 4 + 8 + 8 + 4 + 4)

struct seal {
    uint8_t send_key[crypto_kx_SESSIONKEYBYTES];
    uint8_t receive_key[crypto_kx_SESSIONKEYBYTES];
    uint8_t secret_key[crypto_kx_SECRETKEYBYTES]; /* until seal_complete */
    uint8_t public_key[crypto_kx_PUBLICKEYBYTES];
    uint64_t sent, received;
    uint32_t ticket;
    int complete;
};

int seal_reserve(struct seal **out)
{
    if (sodium_init() < 0)
        return -EIO;
    struct seal *seal = secret_alloc(sizeof(*seal));
    if (seal == NULL)
        return -errno;
    *out = seal;
    return 0;
}

void seal_reset(struct seal *seal)
{
    sodium_memzero(seal, sizeof(*seal));
}

int seal_accept_into(struct seal *seal, uint32_t ticket,
                     const uint8_t theirs[SEAL_PUBLIC_KEY_BYTES],
                     uint8_t ours[SEAL_PUBLIC_KEY_BYTES])
{
    if (seal->complete)
        return -EINVAL;
    crypto_kx_keypair(seal->public_key, seal->secret_key);
    /* Fails for points of small order, with which the key would be known to all. */
    if (crypto_kx_server_session_keys(seal->receive_key, seal->send_key, seal->public_key,
                                      seal->secret_key, theirs) != 0) {
        seal_reset(seal);
        return SEAL_REFUSED;
    }
    sodium_memzero(seal->secret_key, sizeof(seal->secret_key));
    memcpy(ours, seal->public_key, sizeof(seal->public_key));
    seal->ticket = ticket;
    seal->complete = 1;
    return 0;
}

int seal_accept(struct seal **out, uint32_t ticket, const uint8_t theirs[SEAL_PUBLIC_KEY_BYTES],
                uint8_t ours[SEAL_PUBLIC_KEY_BYTES])
{
    struct seal *seal = NULL;
    int outcome = seal_reserve(&seal);
    if (outcome != 0)
        return outcome;
    outcome = seal_accept_into(seal, ticket, theirs, ours);
    if (outcome == 0)
        *out = seal;
    else
        seal_free(seal);
    return outcome;
}

int seal_offer(struct seal **out, uint8_t ours[SEAL_PUBLIC_KEY_BYTES])
{
    struct seal *seal = NULL;
    int error = seal_reserve(&seal);
    if (error != 0)
        return error;
    crypto_kx_keypair(seal->public_key, seal->secret_key);
    memcpy(ours, seal->public_key, sizeof(seal->public_key));
    *out = seal;
    return 0;
}

int seal_complete(struct seal *seal, uint32_t ticket, const uint8_t theirs[SEAL_PUBLIC_KEY_BYTES])
{
    if (seal->complete || sodium_is_zero(seal->secret_key, sizeof(seal->secret_key)))
        return -EINVAL;
    int failed = crypto_kx_client_session_keys(seal->receive_key, seal->send_key, seal->public_key,
                                               seal->secret_key, theirs);
    sodium_memzero(seal->secret_key, sizeof(seal->secret_key));
    if (failed)
        return SEAL_REFUSED;
    seal->ticket = ticket;
    seal->complete = 1;
    return 0;
}

struct seal *seal_free(struct seal *seal)
{
    return secret_free(seal);
}

static void write_label(uint8_t out[LABEL_BYTES], uint32_t ticket, uint64_t counter,
                        const struct seal_label *label)
{
    memcpy(out, LABEL_CONTEXT, sizeof(LABEL_CONTEXT));
    out += sizeof(LABEL_CONTEXT);
    *out++ = (uint8_t)label->kind;
    le_put32(out, ticket);
    le_put64(out + 4, counter);
    le_put64(out + 12, label->frame);
    le_put32(out + 20, label->number);
    le_put32(out + 24, label->total);
}

static void write_nonce(uint8_t nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES],
                        uint64_t counter)
{
    memset(nonce, 0, crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
    le_put64(nonce, counter);
}

int seal_close(struct seal *seal, const struct seal_label *label, const uint8_t *message,
               size_t length, uint8_t *out, size_t capacity)
{
    if (!seal->complete || capacity < SEAL_OVERHEAD || length > capacity - SEAL_OVERHEAD)
        return SEAL_TOO_LARGE;
    uint8_t bound[LABEL_BYTES];
    uint8_t nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];
    write_label(bound, seal->ticket, seal->sent, label);
    write_nonce(nonce, seal->sent);
    seal->sent++;
    crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, message, length, bound, sizeof(bound),
                                               NULL, nonce, seal->send_key);
    return SEAL_OK;
}

int seal_open(struct seal *seal, const struct seal_label *label, const uint8_t *sealed,
              size_t length, uint8_t *out, size_t capacity)
{
    if (!seal->complete || length < SEAL_OVERHEAD)
        return SEAL_FORGED;
    if (length - SEAL_OVERHEAD > capacity)
        return SEAL_TOO_LARGE;
    uint8_t bound[LABEL_BYTES];
    uint8_t nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];
    write_label(bound, seal->ticket, seal->received, label);
    write_nonce(nonce, seal->received);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, length, bound,
                                                   sizeof(bound), nonce, seal->receive_key) != 0)
        return SEAL_FORGED;
    seal->received++;
    return SEAL_OK;
}

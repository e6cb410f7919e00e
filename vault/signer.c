#include "signer.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

/* An uplink that reconnects with back-off asks less often than once in 3 seconds for long; a ticket
 * asks once. */
#define CHALLENGE_BURST       10
#define CHALLENGE_INTERVAL_MS 3000
#define ORIGIN_BURST          16
#define ORIGIN_INTERVAL_MS    5000

/* Whoever asks for receipts again and again gets 200 a second; refused tokens, 10 a second. */
#define RECEIPT_BURST       2048
#define RECEIPT_INTERVAL_MS 5
#define REFUSAL_BURST       256
#define REFUSAL_INTERVAL_MS 100

/* The terminating NUL of each context is part of what is signed. */
static const char challenge_context[] = "cloister/v1 console-auth";
static const char origin_context[] = "cloister/v1 bundle-origin";

_Static_assert(sizeof origin_context + SIGNER_TICKET_SIZE + SIGNER_DIGEST_SIZE + 16 <=
                   SIGNER_MESSAGE_MAX,
               "the buffer holds every purpose");

/* What is signed while it is being built. The fields' sizes are fixed above, so it cannot overrun.
 */
struct message {
    size_t length;
    uint8_t bytes[SIGNER_MESSAGE_MAX];
};

static void put(struct message *message, const void *bytes, size_t length)
{
    memcpy(message->bytes + message->length, bytes, length);
    message->length += length;
}

static void put_integer(struct message *message, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        message->bytes[message->length++] = (uint8_t)(value >> (8 * i));
}

static void sign(const struct message *message, const uint8_t *secret_key,
                 uint8_t signature[SIGNER_SIGNATURE_SIZE])
{
    crypto_sign_detached(signature, NULL, message->bytes, message->length, secret_key);
    sodium_stackzero(4096); /* the expanded key passed through libsodium's frames */
}

static char small(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

int signer_begin(struct signer *signer, const char *host, uint64_t now_ms)
{
    memset(signer, 0, sizeof *signer);
    size_t length = strlen(host);
    if (length > 0 && host[length - 1] == '.')
        length--;
    if (length > SIGNER_HOST_MAX)
        return -EINVAL;
    for (size_t i = 0; i < length; i++)
        signer->host[i] = small(host[i]);
    signer->host_length = length;
    ration_begin(&signer->challenges, CHALLENGE_BURST, CHALLENGE_INTERVAL_MS, now_ms);
    ration_begin(&signer->origins, ORIGIN_BURST, ORIGIN_INTERVAL_MS, now_ms);
    ration_begin(&signer->receipts, RECEIPT_BURST, RECEIPT_INTERVAL_MS, now_ms);
    ration_begin(&signer->refusals, REFUSAL_BURST, REFUSAL_INTERVAL_MS, now_ms);
    return 0;
}

static int is_configured_host(const struct signer *signer, const char *host, size_t length)
{
    return length > 0 && length == signer->host_length && memcmp(host, signer->host, length) == 0;
}

enum signer_outcome signer_sign_challenge(struct signer *signer, const uint8_t *secret_key,
                                          uint64_t now_ms, const struct signer_challenge *fields,
                                          uint8_t signature[SIGNER_SIGNATURE_SIZE])
{
    if (!ration_take(&signer->challenges, now_ms))
        return SIGNER_RATIONED;
    if (!is_configured_host(signer, fields->host, fields->host_length))
        return SIGNER_WRONG_HOST;
    if (!secret_key)
        return SIGNER_NO_KEY;
    struct message message = {0};
    put(&message, challenge_context, sizeof challenge_context);
    put_integer(&message, signer->host_length, 2);
    put(&message, signer->host, signer->host_length);
    put(&message, fields->challenge, SIGNER_CHALLENGE_SIZE);
    put(&message, fields->exporter, SIGNER_EXPORTER_SIZE);
    sign(&message, secret_key, signature);
    return SIGNER_SIGNED;
}

enum signer_outcome signer_sign_origin(struct signer *signer, const uint8_t *secret_key,
                                       uint64_t now_ms, const struct signer_origin *fields,
                                       uint8_t signature[SIGNER_SIGNATURE_SIZE])
{
    if (!ration_take(&signer->origins, now_ms))
        return SIGNER_RATIONED;
    if (!secret_key)
        return SIGNER_NO_KEY;
    struct message message = {0};
    put(&message, origin_context, sizeof origin_context);
    put(&message, fields->ticket, SIGNER_TICKET_SIZE);
    put(&message, fields->digest, SIGNER_DIGEST_SIZE);
    put_integer(&message, fields->size, 8);
    put_integer(&message, fields->consent_ms, 8);
    sign(&message, secret_key, signature);
    return SIGNER_SIGNED;
}

enum signer_outcome signer_sign_receipt(struct signer *signer, const uint8_t *secret_key,
                                        uint64_t now_ms, const struct receipt *receipt,
                                        char out[RECEIPT_MAX], size_t *length)
{
    uint8_t machine[MACHINE_ID_SIZE], signature[SIGNER_SIGNATURE_SIZE];
    bool refused = receipt->decision == RECEIPT_REFUSED;
    if (!ration_take(refused ? &signer->refusals : &signer->receipts, now_ms))
        return SIGNER_RATIONED;
    if (!secret_key)
        return SIGNER_NO_KEY;
    machine_id(machine, secret_key + crypto_sign_SEEDBYTES); /* the public half */
    size_t signed_length = receipt_message(out, receipt, machine);
    if (signed_length == 0)
        return SIGNER_IMPOSSIBLE;
    crypto_sign_detached(signature, NULL, (const uint8_t *)out, signed_length, secret_key);
    sodium_stackzero(4096);
    *length = receipt_seal(out, signed_length, signature);
    return SIGNER_SIGNED;
}

const char *signer_outcome_text(enum signer_outcome outcome)
{
    switch (outcome) {
    case SIGNER_SIGNED:
        return "signed";
    case SIGNER_NO_KEY:
        return "the vault has no key that it may use";
    case SIGNER_WRONG_HOST:
        return "not the configured console";
    case SIGNER_RATIONED:
        return "asked too often";
    case SIGNER_IMPOSSIBLE:
        return "no receipt could say that";
    }
    return "unknown";
}

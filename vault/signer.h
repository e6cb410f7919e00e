/*
 * The only code that signs with the machine's key.
 *
 * A caller hands in typed fields; the bytes that are signed are built here, under a context that is
 * different for each purpose and ends in NUL, so that no signature of one purpose can be shown as
 * one of another. Each purpose is rationed. Signatures are Ed25519 (RFC 8032, pure, 64 bytes).
 *
 *   console authentication     "cloister/v1 console-auth" NUL
 *                              u16 length of host, host (lower case)
 *                              challenge, 32 bytes
 *                              exporter, 32 bytes (RFC 9266, tls-exporter)
 *   origin of a bundle         "cloister/v1 bundle-origin" NUL
 *                              ticket, 16 bytes
 *                              digest, 32 bytes
 *                              u64 size in bytes, u64 time of the consent in unix milliseconds
 *
 *   receipt of a command       the message of a JWS, which begins with the base64url of
 *                              {"alg":"EdDSA", that is "eyJhbGciOiJFZERTQSIs" (receipt.h)
 *
 * Integers are little-endian; docs/wire.md says the same and has test vectors. One thread at a
 * time.
 */
#ifndef CLOISTER_VAULT_SIGNER_H
#define CLOISTER_VAULT_SIGNER_H

#include <stddef.h>
#include <stdint.h>

#include "ration.h"
#include "receipt.h"

#define SIGNER_SECRET_KEY_SIZE 64
#define SIGNER_SIGNATURE_SIZE  64
#define SIGNER_CHALLENGE_SIZE  32
#define SIGNER_EXPORTER_SIZE   32
#define SIGNER_TICKET_SIZE     16
#define SIGNER_DIGEST_SIZE     32

/* The longest host name: 253 characters in text form (RFC 1035 section 2.3.4). */
#define SIGNER_HOST_MAX 253

/* The longest message that is ever signed, for tests and for the stack. */
#define SIGNER_MESSAGE_MAX                                                                         \
    (sizeof "cloister/v1 console-auth" + 2 + SIGNER_HOST_MAX + SIGNER_CHALLENGE_SIZE +             \
     SIGNER_EXPORTER_SIZE)

enum signer_outcome {
    SIGNER_SIGNED = 0,
    SIGNER_NO_KEY,     /* there is no key that may be used */
    SIGNER_WRONG_HOST, /* not the configured console, or none is configured */
    SIGNER_RATIONED,   /* too often */
    SIGNER_IMPOSSIBLE, /* the fields are none that a receipt can have */
};

struct signer_challenge {
    const char *host; /* not terminated, in the form of docs/wire.md: lower case, no final dot */
    size_t host_length;
    const uint8_t *challenge; /* SIGNER_CHALLENGE_SIZE bytes from the console */
    const uint8_t *exporter;  /* SIGNER_EXPORTER_SIZE bytes from the TLS channel */
};

struct signer_origin {
    const uint8_t *ticket; /* SIGNER_TICKET_SIZE bytes */
    const uint8_t *digest; /* SIGNER_DIGEST_SIZE bytes */
    uint64_t size;         /* of the sealed bundle, bytes */
    uint64_t consent_ms;   /* unix milliseconds */
};

struct signer {
    char host[SIGNER_HOST_MAX + 1];
    size_t host_length;
    struct ration challenges;
    struct ration origins;
    struct ration receipts;
    struct ration refusals;
};

/*
 * Begins with full rations at `now_ms` (monotonic). `host` is the configured console's name, ""
 * when there is none: then no challenge is signed at all. It is brought into the form of
 * docs/wire.md (lower case, no final dot). Returns 0, or -EINVAL when it is longer than
 * SIGNER_HOST_MAX.
 */
int signer_begin(struct signer *signer, const char *host, uint64_t now_ms);

/*
 * Signs one challenge. `secret_key` is libsodium's form (seed, then public key) or NULL when the
 * vault has no key to use. A refusal for the wrong host costs a ration, so that asking cannot be
 * used to spin. Writes `signature` only when it returns SIGNER_SIGNED.
 */
enum signer_outcome signer_sign_challenge(struct signer *signer, const uint8_t *secret_key,
                                          uint64_t now_ms, const struct signer_challenge *fields,
                                          uint8_t signature[SIGNER_SIGNATURE_SIZE]);

/* Signs the origin of one bundle; otherwise as signer_sign_challenge. */
enum signer_outcome signer_sign_origin(struct signer *signer, const uint8_t *secret_key,
                                       uint64_t now_ms, const struct signer_origin *fields,
                                       uint8_t signature[SIGNER_SIGNATURE_SIZE]);

/*
 * Signs the receipt of one command and writes it to `out`, not terminated, with its *length. The
 * machine's id is that of the key that signs. Receipts of refused tokens have a ration of their
 * own, so that a flood of these does not keep back the others. Otherwise as signer_sign_challenge.
 */
enum signer_outcome signer_sign_receipt(struct signer *signer, const uint8_t *secret_key,
                                        uint64_t now_ms, const struct receipt *receipt,
                                        char out[RECEIPT_MAX], size_t *length);

/* What an outcome means, for a log line or an answer. */
const char *signer_outcome_text(enum signer_outcome outcome);

#endif

/*
 * SHA-256 (FIPS 180-4) of a command's output, at the speed of the output.
 *
 * libsodium, which the agent uses otherwise, has it in portable C, at a quarter of the speed that
 * the processor's own instructions allow; so this is libcrypto's, of which only these few functions
 * are linked, statically. One thread for each state; nothing is allocated.
 */
#ifndef CLOISTER_DIGEST_H
#define CLOISTER_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32

struct digest {
    uint64_t state[16]; /* libcrypto's SHA256_CTX */
};

void digest_begin(struct digest *digest);
void digest_add(struct digest *digest, const void *bytes, size_t length);

/* The hash of what was added so far; more may be added afterwards. */
void digest_value(const struct digest *digest, uint8_t out[DIGEST_SIZE]);

#endif

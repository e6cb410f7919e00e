/*
 * For tests and harnesses: an agent's side of the sign-in, written apart from what the console
 * reads it with: libsodium's base64url, and the proof's bytes put together by hand.
 */
#ifndef CONSOLE_SESSION_AGENT_H
#define CONSOLE_SESSION_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session_agent {
    uint8_t public_key[32], secret[64]; /* as crypto_sign_keypair makes them */
    const char *host;                   /* 1 to 64 characters */
    bool commands;                      /* names the feature */
};

/* Writes canonical base64url and its NUL. */
void session_agent_base64(char *out, size_t capacity, const void *data, size_t length);

/*
 * Answers the text of a challenge on a connection with that exporter: writes the message
 * "authenticate" to `out` and returns its length, or 0 if the text is no challenge or it does not
 * fit.
 */
size_t session_agent_authenticate(char *out, size_t capacity, const struct session_agent *agent,
                                  const char *challenge, const uint8_t exporter[32]);

#endif

/*
 * Pins of public keys: SHA-256 of a certificate's SubjectPublicKeyInfo, as RFC 7469 section 2.4
 * writes them and `openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64` makes
 * them. Pure functions; any thread.
 */
#ifndef CLOISTER_UPLINK_PIN_H
#define CLOISTER_UPLINK_PIN_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIN_SIZE 32
#define PINS_MAX 4

struct pins {
    size_t count;
    uint8_t digest[PINS_MAX][PIN_SIZE];
};

/*
 * Reads pins separated by spaces or commas; NULL and the empty string are none. Returns 0, or
 * -EINVAL when anything in `text` is not a pin or there are more than PINS_MAX.
 */
int pins_read(struct pins *pins, const char *text);

/* Computes the pin of `certificate`. Returns 0 or -EIO. */
int pin_of(uint8_t out[PIN_SIZE], X509 *certificate);

/* Whether a key of `chain` is pinned. True when there are no pins, false for a NULL chain. */
bool pins_match(const struct pins *pins, STACK_OF(X509) * chain);

#endif

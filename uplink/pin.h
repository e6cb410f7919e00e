/*
 * Pins of public keys: SHA-256 of a certificate's SubjectPublicKeyInfo, as RFC 7469 section 2.4
 * writes them and `openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64` makes
 * them. Pure functions; any thread.
 */
#ifndef CLOISTER_UPLINK_PIN_H
#define CLOISTER_UPLINK_PIN_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#define PIN_SIZE 32

/* Computes the pin of `certificate`. Returns 0 or -EIO. */
int pin_of(uint8_t out[PIN_SIZE], X509 *certificate);

/* Whether the key of any certificate of `chain` (may be NULL) has this pin. */
bool pin_matches(const uint8_t pin[PIN_SIZE], STACK_OF(X509) * chain);

#endif

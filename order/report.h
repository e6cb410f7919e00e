/*
 * The runner's word for how its command ended, which the broker passes on and cannot change.
 *
 * A report's key is crypto_auth (HMAC-SHA-512-256) under the key of the monitor's grant over
 * "cloister/v1 report" NUL and the tag of the order that the runner carries out. Its tag is
 * crypto_auth under that key over the encoded CommandFinished with an all-zero tag. Both ends are
 * of one build, so that both encode alike.
 *
 * Pure functions; any thread. libsodium must have been initialised.
 */
#ifndef CLOISTER_REPORT_H
#define CLOISTER_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "cloister.pb.h"
#include "order.h"

#define REPORT_KEY_SIZE 32

/* Derives the key of the one report on the order with that tag. */
void report_key(uint8_t out[REPORT_KEY_SIZE], const uint8_t grant_key[GRANT_KEY_SIZE],
                const uint8_t order_tag[ORDER_TAG_SIZE]);

/* Fills in report->tag. */
void report_seal(ipc_CommandFinished *report, const uint8_t key[REPORT_KEY_SIZE]);

/* Whether report->tag is that of the rest; in constant time. */
bool report_holds(const ipc_CommandFinished *report, const uint8_t key[REPORT_KEY_SIZE]);

#endif

/*
 * For benchmarks: libcrypto's verification of one digest under a context that is prepared already,
 * which is what all else is compared with.
 */
#ifndef CLOISTER_VAULT_BARE_VERIFY_H
#define CLOISTER_VAULT_BARE_VERIFY_H

#include <stddef.h>
#include <stdint.h>

/* Makes a key, a digest and its signature, and verifies it once. Aborts if anything fails. */
void bare_prepare(void);

/* Verifies it; the nanoseconds that it took. */
uint64_t bare_verify_ns(void);

/* Of the monotonic clock. */
uint64_t bare_now_ns(void);

/* The median of the values, which are sorted for it. */
uint64_t bare_median(uint64_t *values, size_t count);

#endif

/*
 * Limits how often peers of one address may fail: a bucket per address that holds `burst` failures
 * and drains one every `interval_ms`. The table is fixed in size; when it is full the bucket that
 * is nearest to empty is given away, so strangers cost memory once and never more.
 *
 * A table belongs to one thread.
 */
#ifndef CONSOLE_RATE_H
#define CONSOLE_RATE_H

#include <stdint.h>

#define RATE_SLOTS       512
#define RATE_ADDRESS_MAX 64

struct rate {
    uint32_t burst;
    uint64_t interval_ms;
    struct {
        char address[RATE_ADDRESS_MAX];
        uint64_t empty_at_ms; /* monotonic: when the bucket will have drained */
    } slots[RATE_SLOTS];
};

void rate_init(struct rate *r, uint32_t burst, uint64_t interval_ms);

/*
 * What an address counts as, into `out` of RATE_ADDRESS_MAX bytes: IPv6 by its /64, which is what
 * one subscriber has.
 */
void rate_network(char *out, const char *address);

/*
 * How many milliseconds `address` must wait before it may fail again; 0 if it may now. IPv6
 * addresses count by their /64, which is what one subscriber has.
 */
uint32_t rate_wait_ms(const struct rate *r, const char *address, uint64_t mono_ms);

/* Counts one failure of `address`. */
void rate_count(struct rate *r, const char *address, uint64_t mono_ms);

#endif

/*
 * The budget of a resource as a token bucket (RFC 2697 calls the same a meter): it fills at a
 * steady rate up to a depth, work may begin while anything is left, and is charged when it is done
 * and its cost is known. So the level can go below zero, and the next piece of work waits until it
 * is positive: the average never exceeds the rate, and one piece is never refused for its size.
 *
 * Capture has two: processor time, and bytes kept, so that a full-screen video neither takes the
 * processor nor pushes the whole history out of the ring.
 *
 * All functions are pure; any thread may call them, with a clock in ms that never goes back.
 */
#ifndef CLOISTER_CAPTURE_BUDGET_H
#define CLOISTER_CAPTURE_BUDGET_H

#include <stdint.h>

/* Level and depth are in thousandths of a unit, so that a rate per second adds up in ms. */
struct budget {
    int64_t level, depth, rate;
    uint64_t updated_ms;
};

/* Makes a full bucket that holds `depth` units and gains `per_second`. Both are at least 1. */
struct budget budget_new(uint64_t per_second, uint64_t depth, uint64_t now_ms);

/* How long work must wait from `now_ms` on, in ms, rounded up; 0: it may begin. */
uint64_t budget_wait_ms(struct budget *budget, uint64_t now_ms);

/* Charges work that took `units`. */
void budget_charge(struct budget *budget, uint64_t units, uint64_t now_ms);

#endif

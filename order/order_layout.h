/*
 * The layout of an order (order.h) without its cryptography, for the process that holds a command:
 * it links libc alone, and has its orders from a runner that has checked them.
 *
 * Pure functions but for their output; any thread.
 */
#ifndef CLOISTER_ORDER_LAYOUT_H
#define CLOISTER_ORDER_LAYOUT_H

#include "order.h"

/*
 * Reads `length` bytes, checking every rule of order.h but the digest. ORDER_OK or ORDER_MALFORMED;
 * then `out` is not to be used.
 */
enum order_outcome order_parse(struct order *out, const uint8_t *bytes, size_t length);

/* Whether a script begins with "#!", as execve(2) reads it: blanks may follow, and then an absolute
 * path. */
bool order_names_interpreter(const uint8_t *script, size_t length);

/* Whether an order that is to be written keeps the rules, its length apart. */
bool order_keeps_rules(const struct order *order);

/* Writes the first ORDER_HEAD_SIZE bytes of an order with this digest. */
void order_write_head(uint8_t *out, const struct order *order,
                      const uint8_t digest[ORDER_DIGEST_SIZE]);

#endif

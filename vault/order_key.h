/*
 * The key of the monitor's grant (order/grant.h), under which the vault authenticates orders.
 */
#ifndef CLOISTER_VAULT_ORDER_KEY_H
#define CLOISTER_VAULT_ORDER_KEY_H

#include <stdint.h>

#include "grant.h"

/*
 * Reads the vault's grant from `fd`, a memfd that is sealed against any change and holds nothing
 * else, into secret memory, and closes it. The caller frees *out (secret_free). Call it before the
 * file system is closed. Returns 0, or -errno: -EPROTO if it is not the vault's grant.
 */
int order_key_take(int fd, uint8_t **out);

#endif

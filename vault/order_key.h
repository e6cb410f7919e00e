/*
 * The monitor's grant to the vault (order/grant.h): the key under which it authenticates orders,
 * and the machine's groups.
 */
#ifndef CLOISTER_VAULT_ORDER_KEY_H
#define CLOISTER_VAULT_ORDER_KEY_H

#include "grant.h"

/*
 * Reads the vault's grant from `fd`, a memfd that is sealed against any change and holds nothing
 * else, into secret memory, and closes it. The caller frees *out (secret_free). Call it before the
 * file system is closed. Returns 0, or -errno: -EPROTO if it is not the vault's grant.
 */
int order_key_take(int fd, struct grant **out);

#endif

/*
 * The monitor's grant, out of the descriptor that it is handed over in (order/grant.h).
 */
#ifndef CLOISTER_GRANT_TAKE_H
#define CLOISTER_GRANT_TAKE_H

#include "grant.h"

/*
 * Reads the grant from `fd`, a memfd that is sealed against any change and holds nothing else, and
 * closes it. Returns 0, or -errno: -EPROTO if it is not that, or not a runner's grant; then `out`
 * is zero. The caller wipes what it got.
 */
int grant_take(int fd, struct grant *out);

#endif

/*
 * Sequence numbers: of each key rising, over all commands that are signed here. One thread; several
 * processes may ask at once.
 */
#ifndef CLOISTER_SIGN_SEQUENCE_H
#define CLOISTER_SIGN_SEQUENCE_H

#include <stdint.h>

#include "key.h"

/*
 * Takes the next number for the key of this point: the milliseconds since 1970, or one more than
 * the last if that is higher. So keys that are used on two machines, or whose state was lost, still
 * rise. It is written down, durably and under a lock, before it is returned: no two calls get the
 * same, and one that is not used is lost.
 *
 * The state is a file named for the key's fingerprint, in `folder`, or if that is NULL in
 * $XDG_STATE_HOME/cloister-sign, or else in ~/.local/state/cloister-sign. Folders are made.
 *
 * `wanted`, if not 0, is taken instead of the next, with a warning if it is not above the last.
 * Returns 0, having complained, if there is none to be had.
 */
uint64_t sequence_take(const char *folder, const uint8_t point[KEY_POINT_SIZE], uint64_t wanted);

#endif

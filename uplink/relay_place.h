/*
 * For tests: a relay with a real channel to a broker that the test plays.
 */
#ifndef CLOISTER_RELAY_PLACE_H
#define CLOISTER_RELAY_PLACE_H

#include "channel.h"
#include "relay.h"

#define DEADLINE_MS 10000

struct relay_place {
    char folder[32], path[64];
    int wake;               /* of the broker's end */
    struct channel *broker; /* its end */
    struct worker worker;
    struct relay relay;
};

/* Makes both and connects them; whatever was in `place` is forgotten. A failure fails the test. */
void relay_place_open(struct relay_place *place);

/* Closes the channel. 0, or -1 if something is left in the folder. */
int relay_place_close(struct relay_place *place);

#endif

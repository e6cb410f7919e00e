/*
 * What a helper says, as the runner reads it: byte by byte, from somebody hostile.
 *
 * Whatever is not exactly the next message that link.h allows is refused, and there are never more
 * than three. Pure; one thread.
 */
#ifndef CLOISTER_TALK_H
#define CLOISTER_TALK_H

#include <stddef.h>
#include <stdint.h>

#include "link.h"

enum talk_phase {
    TALK_SILENT,  /* HELLO is awaited */
    TALK_GREETED, /* HELLO was said; nothing else may be until talk_ordered */
    TALK_ORDERED, /* STARTED or NOT_STARTED is awaited */
    TALK_STARTED, /* ENDED is awaited */
    TALK_NOT_STARTED,
    TALK_ENDED,
};

struct talk {
    enum talk_phase phase;
    enum link_end end; /* ENDED */
    uint32_t code;     /* ENDED: status or signal; NOT_STARTED: errno */
    uint8_t part[sizeof(struct link_message)];
    size_t used;
};

/* From zeroed memory on, each byte that was received goes through here. Returns 0 or -EPROTO. */
int talk_feed(struct talk *talk, const uint8_t *bytes, size_t length);

/* The helper was told what to run, all of it. Only in TALK_GREETED. */
void talk_ordered(struct talk *talk);

#endif

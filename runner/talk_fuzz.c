/*
 * What a hostile helper says, cut anywhere: what is accepted is within its bounds, at most three
 * messages, and the same however it is cut.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check(const struct talk *talk)
{
    must(talk->used < sizeof talk->part);
    if (talk->phase == TALK_ENDED)
        must(talk->end == LINK_EXITED
                 ? talk->code <= 255
                 : talk->end == LINK_SIGNALLED && talk->code >= 1 && talk->code <= 64);
    if (talk->phase == TALK_NOT_STARTED)
        must(talk->code >= 1 && talk->code <= LINK_ERRNO_MAX);
}

/* Feeds in pieces; the order is given as soon as there was a hello, if `orders`. */
static int feed(struct talk *talk, const uint8_t *data, size_t size, size_t piece, bool orders)
{
    for (size_t at = 0; at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        if (talk_feed(talk, data + at, n) != 0)
            return -1;
        check(talk);
        if (orders && talk->phase == TALK_GREETED)
            talk_ordered(talk);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct talk whole = {0}, cut = {0}, never = {0};
    if (size == 0)
        return 0;
    size_t piece = 1 + data[0] % 16;
    int first = feed(&whole, data + 1, size - 1, 16, true);
    int second = feed(&cut, data + 1, size - 1, piece, true);
    must(first == second && whole.phase == cut.phase);
    if (first == 0)
        must(size - 1 < 4 * sizeof(struct link_message));
    feed(&never, data + 1, size - 1, 64, false);
    must(never.phase <= TALK_GREETED);
    return 0;
}

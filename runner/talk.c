#include "talk.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

void talk_ordered(struct talk *talk)
{
    talk->phase = TALK_ORDERED;
}

static bool is_bare(const struct link_message *message, enum link_word word)
{
    return message->word == word && message->value == 0 && message->more == 0;
}

static int not_started(struct talk *talk, const struct link_message *message)
{
    if (message->value < 1 || message->value > LINK_ERRNO_MAX || message->more != 0)
        return -EPROTO;
    talk->phase = TALK_NOT_STARTED;
    talk->code = message->value;
    return 0;
}

static int ended(struct talk *talk, const struct link_message *message)
{
    bool exited = message->value == LINK_EXITED && message->more <= LINK_STATUS_MAX;
    bool signalled =
        message->value == LINK_SIGNALLED && message->more >= 1 && message->more <= LINK_SIGNAL_MAX;
    if (message->word != LINK_ENDED || (!exited && !signalled))
        return -EPROTO;
    talk->phase = TALK_ENDED;
    talk->end = exited ? LINK_EXITED : LINK_SIGNALLED;
    talk->code = message->more;
    return 0;
}

static int heard(struct talk *talk, const struct link_message *message)
{
    if (message->magic != LINK_MAGIC)
        return -EPROTO;
    switch (talk->phase) {
    case TALK_SILENT:
        if (!is_bare(message, LINK_HELLO))
            return -EPROTO;
        talk->phase = TALK_GREETED;
        return 0;
    case TALK_ORDERED:
        if (message->word == LINK_NOT_STARTED)
            return not_started(talk, message);
        if (!is_bare(message, LINK_STARTED))
            return -EPROTO;
        talk->phase = TALK_STARTED;
        return 0;
    case TALK_STARTED:
        return ended(talk, message);
    case TALK_GREETED:
    case TALK_NOT_STARTED:
    case TALK_ENDED:
        break;
    }
    return -EPROTO;
}

int talk_feed(struct talk *talk, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        struct link_message message;
        size_t room = sizeof talk->part - talk->used;
        size_t part = length < room ? length : room;
        memcpy(talk->part + talk->used, bytes, part);
        talk->used += part;
        bytes += part;
        length -= part;
        if (talk->used < sizeof talk->part)
            return 0;
        memcpy(&message, talk->part, sizeof message);
        talk->used = 0;
        if (heard(talk, &message) < 0)
            return -EPROTO;
    }
    return 0;
}

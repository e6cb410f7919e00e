#include "commands.h"

#include <string.h>

bool commands_are_down(const ipc_CommandStatusReply *reply)
{
    return reply->keys_count > 0 && reply->store[0];
}

static const ipc_CommandEntry *find(const ipc_CommandStatusReply *reply, const uint8_t *token)
{
    for (size_t i = 0; i < reply->recent_count; i++)
        if (memcmp(reply->recent[i].token, token, sizeof(reply->recent[i].token)) == 0)
            return &reply->recent[i];
    return NULL;
}

bool commands_compare(const ipc_CommandStatusReply *before, const ipc_CommandStatusReply *now,
                      uint64_t since_ms,
                      void (*show)(void *context, const ipc_CommandEntry *entry, bool fresh),
                      void *context)
{
    bool overlap = before->recent_count == 0;
    for (size_t i = now->recent_count; i > 0; i--) {
        const ipc_CommandEntry *entry = &now->recent[i - 1];
        const ipc_CommandEntry *old = find(before, entry->token);
        overlap |= old != NULL;
        if (entry->accepted_ms >= since_ms && (!old || old->phase != entry->phase))
            show(context, entry, !old);
    }
    return overlap;
}

#include "route.h"

#include "envelope.h"

const struct ipc_type *ipc_type_find(uint16_t number)
{
    if (number >= IPC_TYPE_LIMIT || !ipc_types[number].name)
        return NULL;
    return &ipc_types[number];
}

bool ipc_granted(const struct ipc_type *type, enum ipc_peer peer, enum ipc_phase phase)
{
    return (type->from >> peer & 1u) && (type->phases >> phase & 1u);
}

bool ipc_is_answer(const struct ipc_type *type)
{
    return type->answers_any || type->answer_count > 0;
}

bool ipc_answers(const struct ipc_type *type, uint16_t request)
{
    if (type->answers_any)
        return true;
    for (uint16_t i = 0; i < type->answer_count; i++)
        if (type->answers[i] == request)
            return true;
    return false;
}

bool ipc_is_request(uint16_t number)
{
    for (uint16_t n = 0; n < IPC_TYPE_LIMIT; n++)
        if (ipc_types[n].name && !ipc_types[n].answers_any && ipc_answers(&ipc_types[n], number))
            return true;
    return false;
}

static size_t longest(enum ipc_peer peer, size_t mask_offset)
{
    size_t most = 0;
    for (uint16_t n = 0; n < IPC_TYPE_LIMIT; n++) {
        const struct ipc_type *type = &ipc_types[n];
        uint32_t mask = *(const uint32_t *)((const char *)type + mask_offset);
        size_t length = (size_t)type->body_max + type->blob_max;
        if (type->name && (mask >> peer & 1u) && length > most)
            most = length;
    }
    return most + ENVELOPE_HEADER;
}

size_t ipc_longest_from(enum ipc_peer peer)
{
    return longest(peer, offsetof(struct ipc_type, from));
}

size_t ipc_longest_to(enum ipc_peer peer)
{
    return longest(peer, offsetof(struct ipc_type, to));
}

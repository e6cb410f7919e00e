#include "peer.h"

bool peer_has_sent(const struct peer *peer, uint16_t number)
{
    return peer->seen[number / 64] >> number % 64 & 1;
}

static bool seen_before(struct peer *peer, uint16_t number)
{
    bool before = peer_has_sent(peer, number);
    peer->seen[number / 64] |= UINT64_C(1) << number % 64;
    return before;
}

enum peer_verdict peer_check(struct peer *peer, const struct envelope *envelope, uint64_t now_ms)
{
    const struct ipc_type *type = envelope->type;
    if (envelope->ticket != 0 || envelope->uid != 0)
        return PEER_STAMPED;
    if (!ipc_granted(type, peer->kind, peer->phase))
        return PEER_NOT_GRANTED;
    bool numbered = ipc_is_answer(type) || ipc_is_request(envelope->number);
    if (numbered != (envelope->request != 0))
        return PEER_NO_REQUEST;
    if (type->once && seen_before(peer, envelope->number))
        return PEER_AGAIN;
    if (type->per_second && !quota_take(&peer->quotas[envelope->number], type->per_second, now_ms))
        return PEER_QUOTA;
    return PEER_OK;
}

const char *peer_verdict_name(enum peer_verdict verdict)
{
    switch (verdict) {
    case PEER_OK:
        return "ok";
    case PEER_STAMPED:
        return "a forged stamp";
    case PEER_NOT_GRANTED:
        return "not granted in this phase";
    case PEER_NO_REQUEST:
        return "a request number where there is none to have, or none where there must be one";
    case PEER_AGAIN:
        return "a second time";
    case PEER_QUOTA:
        return "over its quota";
    }
    return "?";
}

#include "identity.h"

/* From 1000 on, but for what is above 60513, where systemd makes users up and "nobody" is. Large
 * ids come from directories; the two highest are the ways to say -1 and -2. */
static bool is_persons(uint32_t id)
{
    return id >= 1000 && (id <= 60513 || id > 65535) && id < UINT32_MAX - 1;
}

bool identity_fits(enum policy_identity identity, uint32_t uid, uint32_t gid)
{
    switch (identity) {
    case POLICY_ACCOUNT:
        return uid != 0 && gid != 0 && uid != UINT32_MAX && gid != UINT32_MAX;
    case POLICY_SESSION:
        return is_persons(uid) && (is_persons(gid) || gid == 100);
    case POLICY_ROOT:
        return uid == 0 && gid == 0;
    }
    return false;
}

#include "order_key.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "secret_memory.h"

static bool is_sealed(int fd)
{
    const int wanted = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS); /* refused by all but memfds */
    return seals >= 0 && (seals & wanted) == wanted && fstat(fd, &st) == 0 &&
           st.st_size == (off_t)sizeof(struct grant);
}

/* One that names no runner: it is not a runner's that came here by mistake. */
static bool is_vaults(const struct grant *grant)
{
    return grant->magic == GRANT_MAGIC && grant->slot == 0 && grant->generation == 0 &&
           grant->profile == 0 && sodium_is_zero(grant->digest, sizeof grant->digest) &&
           !sodium_is_zero(grant->key, sizeof grant->key);
}

static int take(int fd, uint8_t **out)
{
    struct grant *grant = secret_alloc(sizeof *grant);
    if (!grant)
        return -errno;
    bool whole = pread(fd, grant, sizeof *grant, 0) == (ssize_t)sizeof *grant;
    uint8_t *key = whole && is_vaults(grant) ? secret_alloc(GRANT_KEY_SIZE) : NULL;
    int error = key ? 0 : whole && is_vaults(grant) ? -ENOMEM : -EPROTO;
    if (key)
        memcpy(key, grant->key, GRANT_KEY_SIZE);
    secret_free(grant);
    *out = key;
    return error;
}

int order_key_take(int fd, uint8_t **out)
{
    int error = is_sealed(fd) ? take(fd, out) : -EPROTO;
    close(fd);
    return error;
}

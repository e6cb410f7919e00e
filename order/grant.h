/*
 * What the monitor gives to the vault and to each runner in a sealed memfd, past the broker.
 *
 * The key is random, made anew whenever a broker is started. With it the vault authenticates an
 * order for one runner instance (order.h), and that runner checks it: so a broker that was taken
 * over can neither invent an order, nor change one, nor have one carried out twice. The digest and
 * the profile are those that the monitor has checked against the local policy; an order that
 * differs is not carried out. The groups come this way because they decide what the vault accepts.
 *
 * Fixed layout, one host, one build. Whoever has read it wipes its copy when it has no more use for
 * the key.
 */
#ifndef CLOISTER_GRANT_H
#define CLOISTER_GRANT_H

#include <stdint.h>

#define GRANT_MAGIC    0x31545247u /* "GRT1" */
#define GRANT_KEY_SIZE 32

/* The machine's groups, which a token's audience may name: as many as the configuration allows. */
#define GRANT_GROUPS_MAX 16
#define GRANT_GROUP_MAX  48 /* bytes of one, its NUL included */

struct grant {
    uint32_t magic;
    uint32_t slot;       /* of the runner; 0 in the vault's */
    uint32_t generation; /* of the runner; 0 in the vault's */
    uint32_t profile;    /* enum monitor_profile; 0 in the vault's */
    uint8_t key[GRANT_KEY_SIZE];
    uint8_t digest[32]; /* the command hash that the monitor has let pass; zero in the vault's */
    char groups[GRANT_GROUPS_MAX][GRANT_GROUP_MAX]; /* the vault's; up to the first empty one. Zero
                                                       in a runner's */
};

_Static_assert(sizeof(struct grant) == 80 + GRANT_GROUPS_MAX * GRANT_GROUP_MAX, "no padding");

#endif

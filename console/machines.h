/*
 * Machines and enrolment tokens in the database.
 *
 * A machine is `pending` when a token or a claim of key rotation made it known, `approved` when an
 * administrator compared its fingerprint, `revoked` when one said so. Functions take the store of
 * their thread and run in transactions of their own; -errno means that nothing changed.
 */
#ifndef CONSOLE_MACHINES_H
#define CONSOLE_MACHINES_H

#include <stdbool.h>
#include <stdint.h>

#include "store.h"

enum machines_outcome {
    MACHINES_UNKNOWN = 1,
    MACHINES_AMBIGUOUS,
    MACHINES_KNOWN,         /* the machine is already in the database */
    MACHINES_TOKEN_REFUSED, /* unknown, spent, expired or malformed */
    MACHINES_CLAIM_REFUSED, /* of rotation: the previous machine is not approved (a chain of claims
                             * would have no end), or claimed MACHINES_CLAIMS_MAX times already */
    MACHINES_MISMATCH,      /* the fingerprint is not that of the machine */
};

/* Pending machines that may claim the same predecessor. */
#define MACHINES_CLAIMS_MAX 4

enum machines_state {
    MACHINES_PENDING,
    MACHINES_APPROVED,
    MACHINES_REVOKED,
};

/* All strings came from the machine: hostile until escaped. */
struct machine {
    uint8_t id[32];
    uint8_t public_key[32];
    enum machines_state state;
    char name[65];
    char os[129];
    bool has_previous;
    uint8_t previous[32];
    char reason[16]; /* of rotation: "disk", "board", "disk+board" or "" */
    char agent_version[65];
    char boot_id[37];
    char address[64]; /* of the last connection */
    bool connected;   /* true only while a server runs */
    uint64_t enrolled_time_ms, changed_time_ms, seen_time_ms;
};

/* The word for a state, as the wire and the tables show it. */
const char *machines_state_word(enum machines_state state);

/* Stores a new token that expires at `expires_time_ms`, and writes it to `text` (TOKEN_TEXT bytes,
 * a secret). Tokens expired for more than 30 days are forgotten on the way. 0 or -errno. */
int machines_token(struct store *store, char *text, uint64_t now_ms, uint64_t expires_time_ms);

/* Reads one machine. 0, MACHINES_UNKNOWN, or -errno. */
int machines_get(struct store *store, const uint8_t id[32], struct machine *out);

/*
 * Reads the machine that `text` names: at least 8 hexadecimal digits of its id's beginning, or its
 * exact name. 0, MACHINES_UNKNOWN, MACHINES_AMBIGUOUS, or -errno.
 */
int machines_find(struct store *store, const char *text, struct machine *out);

/* Calls `row` for every machine by age of enrolment until it returns non-zero. 0 or -errno. */
int machines_each(struct store *store, int (*row)(void *context, const struct machine *m),
                  void *context);

/*
 * Spends `token` for `m` (id, public_key, name, os, agent_version, boot_id, address are used) and
 * records it as pending, all or nothing. 0, MACHINES_TOKEN_REFUSED, MACHINES_KNOWN, or -errno.
 */
int machines_enroll(struct store *store, const char *token, const struct machine *m,
                    uint64_t now_ms);

/*
 * Records `m` as pending because it claims to be `m->previous` with a new key; name and os are
 * taken over from there. 0, MACHINES_CLAIM_REFUSED, MACHINES_KNOWN, or -errno.
 */
int machines_rotate(struct store *store, const struct machine *m, uint64_t now_ms);

/*
 * Approves machine `id` if `fingerprint` is its own, and revokes the machine that it replaces, if
 * any, together with the other claims to it. 0, MACHINES_UNKNOWN, MACHINES_MISMATCH, or -errno.
 */
int machines_approve(struct store *store, const uint8_t id[32], const char *fingerprint,
                     uint64_t now_ms);

/* Revokes machine `id`. 0, MACHINES_UNKNOWN, or -errno. */
int machines_revoke(struct store *store, const uint8_t id[32], uint64_t now_ms);

/* Notes a connection (m->agent_version, boot_id, address) or, with NULL, its end. 0 or -errno. */
int machines_seen(struct store *store, const uint8_t id[32], const struct machine *m,
                  uint64_t now_ms);

/* Marks every machine as not connected: a server does so when it starts. 0 or -errno. */
int machines_all_gone(struct store *store);

#endif

/*
 * One bundle under way: from `bundle_begin` over digests and chunks to a ticket number, resumable
 * at any point (docs/wire.md, "Bundles"). Joins rows (bundles.h) and files (bundle_file.h), so that
 * a bundle is complete if and only if all of it is durable and verified.
 *
 * An upload belongs to the thread of its store.
 */
#ifndef CONSOLE_UPLOAD_H
#define CONSOLE_UPLOAD_H

#include <stdint.h>

#include "bundle_file.h"
#include "bundles.h"
#include "message.h"
#include "store.h"

/* How many incomplete bundles a machine may leave behind. */
#define UPLOAD_INCOMPLETE_MAX 32

/* What uploads work on; outlives them. */
struct upload_env {
    struct store *store;
    struct bundle_folders folders;
    uint64_t max_bundle_bytes;
    uint64_t quota_bytes; /* per machine, as bundles_charge counts */
};

enum upload_outcome {
    UPLOAD_NEED_DIGESTS = 1, /* under way: wants the list of digests, from upload_next on */
    UPLOAD_NEED_CHUNKS,      /* under way: wants chunk upload_next */
    UPLOAD_DONE,             /* complete; no longer under way */
    /* Refusals that leave the connection open; not (or no longer) under way. */
    UPLOAD_BAD_ORIGIN,
    UPLOAD_CONFLICT,
    UPLOAD_TOO_LARGE,
    UPLOAD_QUOTA,
    UPLOAD_DIGEST_MISMATCH,
    /* Violations that end the connection; what is stored stays resumable. */
    UPLOAD_MALFORMED,
    UPLOAD_ORDER,
    UPLOAD_BAD_CHUNK,
};

struct upload;

/*
 * Begins or resumes the bundle that `begin` describes for the machine with this id and key.
 * Returns UPLOAD_NEED_DIGESTS or UPLOAD_NEED_CHUNKS with the new upload in `out`; UPLOAD_DONE with
 * number and time in `done`; UPLOAD_BAD_ORIGIN, UPLOAD_CONFLICT, UPLOAD_TOO_LARGE, UPLOAD_QUOTA;
 * or -errno (storage), with nothing in `out`.
 */
int upload_begin(struct upload **out, const struct upload_env *env, const uint8_t machine[32],
                 const uint8_t public_key[32], const struct message_bundle_begin *begin,
                 uint64_t now_ms, struct bundle *done);

/*
 * Takes `length` bytes of digests beginning with that of chunk `index`. Returns
 * UPLOAD_NEED_DIGESTS while some are missing; UPLOAD_NEED_CHUNKS once the list is whole, true and
 * stored; UPLOAD_DIGEST_MISMATCH; UPLOAD_MALFORMED; UPLOAD_ORDER; or -errno.
 */
int upload_digests(struct upload *u, uint32_t index, const uint8_t *data, size_t length);

/*
 * Takes chunk `index`, verifies it and makes it durable. Returns UPLOAD_NEED_CHUNKS when it may be
 * acknowledged; UPLOAD_DONE when it was the last one, with number and time in `done`;
 * UPLOAD_BAD_CHUNK, UPLOAD_MALFORMED, UPLOAD_ORDER; or -errno.
 */
int upload_chunk(struct upload *u, uint32_t index, const uint8_t *data, size_t length,
                 uint64_t now_ms, struct bundle *done);

/* The ticket that `u` carries: 16 bytes that live as long as `u`. */
const uint8_t *upload_ticket(const struct upload *u);

/* The index of the digest or chunk that comes next. */
uint32_t upload_next(const struct upload *u);

/* Ends an upload that stays resumable: notes how far it came. NULL is accepted; returns NULL. */
struct upload *upload_free(struct upload *u, uint64_t now_ms);

/*
 * Forgets what is stored of the incomplete bundle of this machine and ticket, which must not be
 * under way. Returns 0 (also when there is none), UPLOAD_DONE with `done` filled when it is
 * complete and therefore stays, or -errno.
 */
int upload_forget(const struct upload_env *env, const uint8_t machine[32], const uint8_t ticket[16],
                  struct bundle *done);

/* Deletes incomplete bundles untouched since `before_ms`, at most `limit`. The number deleted, or
 * -errno. */
int upload_expire(const struct upload_env *env, uint64_t before_ms, unsigned limit);

#endif

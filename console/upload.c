#include "upload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "log.h"
#include "proof.h"

/* Progress goes to the database this often: what lies beyond it is verified again on resuming, so
 * it bounds work, not safety. */
#define PROGRESS_CHUNKS 32

struct upload {
    const struct upload_env *env;
    struct bundle bundle;
    uint8_t *digests; /* bundle.chunks * 32 bytes */
    uint32_t digests_have;
    uint32_t next;  /* chunk */
    uint32_t noted; /* the progress that the database knows */
    int fd;
};

static bool same_bundle(const struct bundle *b, const struct message_bundle_begin *begin)
{
    return memcmp(b->digest, begin->digest, sizeof(b->digest)) == 0 && b->size == begin->size &&
           b->chunks == begin->chunks && b->consent_time_ms == begin->consent_time_ms;
}

static int check_room(const struct upload_env *env, const uint8_t machine[32],
                      const struct message_bundle_begin *begin)
{
    uint64_t charged = 0, incomplete = 0;
    if (begin->size > env->max_bundle_bytes)
        return UPLOAD_TOO_LARGE;
    int result = bundles_usage(env->store, machine, &charged, &incomplete);
    if (result)
        return result;
    uint64_t charge = bundles_charge(begin->size, begin->chunks);
    if (charged > env->quota_bytes || charge > env->quota_bytes - charged ||
        incomplete >= UPLOAD_INCOMPLETE_MAX)
        return UPLOAD_QUOTA;
    return 0;
}

static struct upload *upload_new(const struct upload_env *env, const struct bundle *b)
{
    struct upload *u = calloc(1, sizeof(*u));
    if (!u)
        return NULL;
    u->env = env;
    u->bundle = *b;
    u->fd = -1;
    u->digests = malloc((size_t)b->chunks * 32);
    return u->digests ? u : upload_free(u, 0);
}

static int begin_new(struct upload **out, const struct upload_env *env, const uint8_t machine[32],
                     const struct message_bundle_begin *begin, uint64_t now_ms)
{
    struct bundle b;
    int64_t row;
    int result = check_room(env, machine, begin);
    if (!result)
        result = bundles_insert(env->store, machine, begin, now_ms, &row);
    if (!result)
        result = bundles_get(env->store, machine, begin->ticket, &b);
    if (result)
        return result;
    struct upload *u = upload_new(env, &b);
    if (!u)
        return -ENOMEM;
    *out = u;
    return UPLOAD_NEED_DIGESTS;
}

/* Opens the part file and finds out how many chunks of it are good. */
static int open_part(struct upload *u)
{
    struct stat status;
    u->fd = bundle_file_part(&u->env->folders, u->bundle.row);
    if (u->fd < 0)
        return u->fd;
    if (fstat(u->fd, &status) != 0)
        return -errno;
    uint64_t stored = (uint64_t)status.st_size / MESSAGE_CHUNK_BYTES;
    uint32_t from = stored < u->bundle.have ? (uint32_t)stored : u->bundle.have;
    u->noted = u->bundle.have;
    return bundle_file_verify(u->fd, u->digests, u->bundle.size, from, true, &u->next);
}

static int complete(struct upload *u, uint64_t now_ms, struct bundle *done)
{
    int result = bundles_complete(u->env->store, &u->bundle, now_ms);
    if (result)
        return result;
    u->noted = u->next = u->bundle.chunks;
    *done = u->bundle;
    return UPLOAD_DONE;
}

static int finish(struct upload *u, uint64_t now_ms, struct bundle *done)
{
    int result = bundle_file_finish(&u->env->folders, u->bundle.row);
    return result ? result : complete(u, now_ms, done);
}

/*
 * The console may have died between the rename and the commit: then the whole file is there and
 * the row is incomplete. Returns UPLOAD_DONE if so, else 0 with nothing in the way.
 */
static int adopt_whole(struct upload *u, uint64_t now_ms, struct bundle *done)
{
    uint32_t have = 0;
    int fd = bundle_file_open(&u->env->folders, u->bundle.row);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    int result = bundle_file_verify(fd, u->digests, u->bundle.size, 0, false, &have);
    close(fd);
    if (result)
        return result;
    if (have == u->bundle.chunks)
        return complete(u, now_ms, done);
    log_warning("bundle %lld: damaged file set aside for a new upload", (long long)u->bundle.row);
    u->bundle.have = 0;
    return bundle_file_remove(&u->env->folders, u->bundle.row);
}

static int resume(struct upload **out, const struct upload_env *env, const struct bundle *b,
                  uint64_t now_ms, struct bundle *done)
{
    struct upload *u = upload_new(env, b);
    if (!u)
        return -ENOMEM;
    int result = UPLOAD_NEED_DIGESTS;
    if (b->has_digests) {
        result = bundles_get_digests(env->store, b->row, u->digests, b->chunks);
        u->digests_have = b->chunks;
        if (!result)
            result = adopt_whole(u, now_ms, done);
        if (!result)
            result = open_part(u);
        if (!result)
            result = u->next == b->chunks ? finish(u, now_ms, done) : UPLOAD_NEED_CHUNKS;
    }
    if (result == UPLOAD_NEED_DIGESTS || result == UPLOAD_NEED_CHUNKS)
        *out = u;
    else
        upload_free(u, now_ms);
    return result;
}

int upload_begin(struct upload **out, const struct upload_env *env, const uint8_t machine[32],
                 const uint8_t public_key[32], const struct message_bundle_begin *begin,
                 uint64_t now_ms, struct bundle *done)
{
    struct bundle known;
    *out = NULL;
    if (!proof_bundle_origin(begin->signature, public_key, begin->ticket, begin->digest,
                             begin->size, begin->consent_time_ms))
        return UPLOAD_BAD_ORIGIN;
    int result = bundles_get(env->store, machine, begin->ticket, &known);
    if (result == BUNDLES_UNKNOWN)
        return begin_new(out, env, machine, begin, now_ms);
    if (result)
        return result;
    if (!same_bundle(&known, begin))
        return UPLOAD_CONFLICT;
    if (known.number) {
        *done = known;
        return UPLOAD_DONE;
    }
    return resume(out, env, &known, now_ms, done);
}

static int accept_list(struct upload *u)
{
    uint8_t digest[32];
    crypto_hash_sha256(digest, u->digests, (size_t)u->bundle.chunks * 32);
    if (memcmp(digest, u->bundle.digest, sizeof(digest)) != 0) {
        u->digests_have = 0;
        return UPLOAD_DIGEST_MISMATCH;
    }
    int result = bundles_put_digests(u->env->store, u->bundle.row, u->digests, u->bundle.chunks);
    if (!result)
        result = open_part(u);
    return result ? result : UPLOAD_NEED_CHUNKS;
}

int upload_digests(struct upload *u, uint32_t index, const uint8_t *data, size_t length)
{
    if (u->fd >= 0 || index != u->digests_have)
        return UPLOAD_ORDER;
    if (length == 0 || length % 32 != 0 || length / 32 > u->bundle.chunks - u->digests_have)
        return UPLOAD_MALFORMED;
    memcpy(u->digests + (size_t)index * 32, data, length);
    u->digests_have += (uint32_t)(length / 32);
    return u->digests_have < u->bundle.chunks ? UPLOAD_NEED_DIGESTS : accept_list(u);
}

int upload_chunk(struct upload *u, uint32_t index, const uint8_t *data, size_t length,
                 uint64_t now_ms, struct bundle *done)
{
    uint8_t digest[32];
    if (u->fd < 0 || index != u->next || index >= u->bundle.chunks)
        return UPLOAD_ORDER;
    if (length != bundle_file_chunk_length(u->bundle.size, index))
        return UPLOAD_MALFORMED;
    if (!bundle_file_digest(digest, data, length))
        return -EIO;
    if (memcmp(digest, u->digests + (size_t)index * 32, sizeof(digest)) != 0)
        return UPLOAD_BAD_CHUNK;
    int result = bundle_file_write(u->fd, index, data, length);
    if (result)
        return result;
    u->next++;
    if (u->next == u->bundle.chunks)
        return finish(u, now_ms, done);
    if (u->next - u->noted >= PROGRESS_CHUNKS) {
        result = bundles_progress(u->env->store, u->bundle.row, u->next, now_ms);
        if (result)
            return result;
        u->noted = u->next;
    }
    return UPLOAD_NEED_CHUNKS;
}

const uint8_t *upload_ticket(const struct upload *u)
{
    return u->bundle.ticket;
}

uint32_t upload_next(const struct upload *u)
{
    return u->fd >= 0 ? u->next : u->digests_have;
}

struct upload *upload_free(struct upload *u, uint64_t now_ms)
{
    if (!u)
        return NULL;
    if (u->fd >= 0) {
        if (u->next != u->noted)
            bundles_progress(u->env->store, u->bundle.row, u->next, now_ms);
        close(u->fd);
    }
    free(u->digests);
    free(u);
    return NULL;
}

int upload_forget(const struct upload_env *env, const uint8_t machine[32], const uint8_t ticket[16],
                  struct bundle *done)
{
    struct bundle b;
    int result = bundles_get(env->store, machine, ticket, &b);
    if (result == BUNDLES_UNKNOWN)
        return 0;
    if (result)
        return result;
    if (b.number) {
        *done = b;
        return UPLOAD_DONE;
    }
    /* The file first: a row without a file begins anew, a file without a row would never go. */
    result = bundle_file_remove(&env->folders, b.row);
    if (!result)
        result = bundles_delete(env->store, b.row);
    return result == BUNDLES_UNKNOWN ? 0 : result;
}

int upload_expire(const struct upload_env *env, uint64_t before_ms, unsigned limit)
{
    unsigned count = 0;
    int64_t row;
    int result = 0;
    while (count < limit && !(result = bundles_expired(env->store, before_ms, &row))) {
        result = bundle_file_remove(&env->folders, row);
        if (!result)
            result = bundles_delete(env->store, row);
        if (result)
            break;
        log_notice("bundle %lld: expired incomplete", (long long)row);
        count++;
    }
    return result < 0 ? result : (int)count;
}

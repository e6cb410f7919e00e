/*
 * Bundles on their way to the console: the agent's side of the section "Bundles" of docs/wire.md.
 *
 * The broker offers a bundle that has been consented to, the ticket program begins it and hands in
 * its chunks, a few ahead of the network; each chunk is answered when it has been sent, so that
 * neither a slow network nor the console's window makes memory grow. What becomes of a bundle is
 * told by `news`. Bundles are known by the number that the broker stamps on the ticket's requests.
 *
 * Times are monotonic milliseconds that the caller supplies. One thread at a time.
 */
#ifndef CLOISTER_UPLINK_UPLOAD_H
#define CLOISTER_UPLINK_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "wire.h"

#define UPLOAD_OFFERS_MAX   8
#define UPLOAD_ABORTS_MAX   64     /* called off, and the console has not said that it knows */
#define UPLOAD_ANSWER_MS    60000  /* for the console's answers and acknowledgements */
#define UPLOAD_QUEUE_MAX    524288 /* bytes waiting for the network: no further chunk is welcome */
#define UPLOAD_AHEAD_MAX    8      /* chunks of a bundle that wait for room */
#define UPLOAD_CHUNKS_PER_S 300    /* the console calls 400 messages within a second a flood */

struct uploads;

enum upload_event {
    UPLOAD_READY,  /* the console takes chunks from `index` on */
    UPLOAD_TAKEN,  /* chunk `index` is on its way: one more may be handed in */
    UPLOAD_DONE,   /* the console has all of it, under `number` */
    UPLOAD_FAILED, /* not under way any more: `code` and `text` of the console, or of our own */
};

struct upload_news {
    enum upload_event event;
    uint32_t ticket; /* the broker's number */
    uint32_t index;
    const char *number;
    const char *code; /* a word of the section "Errors" */
    const char *text; /* for people; hostile */
};

struct upload_callbacks {
    /* Queue a message; the bytes are copied. 0 or -errno. */
    int (*send_text)(void *user, const char *text, size_t length);
    int (*send_binary)(void *user, const void *bytes, size_t length);
    /* Bytes that are queued and not yet handed to the network. */
    size_t (*queued)(void *user);
    /* May call uploads_receipt and uploads_chunk. Texts are valid during the call. */
    void (*news)(void *user, const struct upload_news *news);
};

enum upload_outcome {
    UPLOAD_NO_SUCH = 1, /* no bundle was offered under this number */
    UPLOAD_ORDER,       /* not now: begun when done, a chunk too early or out of order */
    UPLOAD_LENGTH,      /* a chunk of another length than the bundle's size implies */
    UPLOAD_TOO_MANY,    /* UPLOAD_OFFERS_MAX are known */
    UPLOAD_TOO_LARGE,   /* more than the console takes */
    UPLOAD_BUSY,        /* the console owes too many answers: begin again in a moment */
    UPLOAD_BAD_OFFER,   /* sizes and chunk counts that do not fit each other */
};

/* `callbacks` and `user` must outlive the result. Returns 0 or -ENOMEM. */
int uploads_new(struct uploads **out, const struct upload_callbacks *callbacks, void *user);
struct uploads *uploads_free(struct uploads *uploads);

/* What the console said in its welcome. */
void uploads_limits(struct uploads *uploads, uint32_t chunk_window, uint64_t max_bundle_bytes);

/*
 * Makes a bundle known. `chunk_digests` are bundle->chunks times WIRE_DIGEST_SIZE bytes; they and
 * the bundle are copied, its texts too. A second offer under the same number replaces one that is
 * not under way. Returns 0, an upload_outcome, or -ENOMEM.
 */
int uploads_offer(struct uploads *uploads, uint32_t ticket, const struct wire_bundle *bundle,
                  const uint8_t *chunk_digests);

/*
 * The ticket program wants to send. What is under way already goes on: chunks that have not been
 * sent are forgotten, and UPLOAD_READY says again which is wanted next. Returns 0 (news will follow
 * or has come already), an upload_outcome, or -errno.
 */
int uploads_begin(struct uploads *uploads, uint32_t ticket, int64_t now_ms);

/*
 * The ticket program hands in a chunk, which is copied; the index must be the one after the last,
 * or what UPLOAD_READY said. At most UPLOAD_AHEAD_MAX may be unanswered. Returns 0 (UPLOAD_TAKEN or
 * UPLOAD_FAILED will follow or has come already), an upload_outcome, or -errno.
 */
int uploads_chunk(struct uploads *uploads, uint32_t ticket, uint32_t index, const void *bytes,
                  size_t length, int64_t now_ms);

/*
 * Whether the bundle is done, is known at all, or is under way: returns 0 with `*number` (valid
 * until the bundle is ended), UPLOAD_NO_SUCH, or UPLOAD_ORDER when not all chunks have been handed
 * in.
 * `*number` is NULL while the console's word is awaited.
 */
int uploads_receipt(const struct uploads *uploads, uint32_t ticket, const char **number);

/*
 * The ticket is over. An unfinished upload is called off; nothing more is told about it, and its
 * place is free at once, whenever the console answers.
 */
void uploads_end(struct uploads *uploads, uint32_t ticket, int64_t now_ms);

/* The console forgot everything unfinished (state became pending): so do we, with UPLOAD_FAILED. */
void uploads_forget(struct uploads *uploads);

/*
 * A message of the console about a bundle. Returns 0; UPLOAD_ORDER when the console may not say
 * this now, which the caller answers by closing; or -errno.
 */
int uploads_receive(struct uploads *uploads, const struct wire_message *message, int64_t now_ms);

/*
 * Lets go of answers that waited for room. Returns true, or false with `fault` set when the console
 * has not answered in time. To be called when uploads_deadline_ms has come and after every write.
 */
int64_t uploads_deadline_ms(const struct uploads *uploads);
bool uploads_tick(struct uploads *uploads, int64_t now_ms, struct fault *fault);

#endif

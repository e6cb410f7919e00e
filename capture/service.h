/*
 * What capture answers to each message of the schema, apart from how messages travel.
 *
 * Frames are for the owner of the session that they show: the uid that the broker stamped on a
 * request must be the session's, whatever route brought the request here; root may pause, and no
 * more. Each ticket has its own key agreement (frame/seal.h); records leave the ring only re-sealed
 * to a ticket.
 *
 * An answer function returns NULL when `out` is the answer, and otherwise a refusal, which stays
 * valid until the next call. One thread at a time.
 */
#ifndef CLOISTER_CAPTURE_SERVICE_H
#define CLOISTER_CAPTURE_SERVICE_H

#include <stddef.h>
#include <stdint.h>

#include "cloister.pb.h"
#include "engine.h"
#include "seal.h"

/* Tickets that can be open at one time. */
#define SERVICE_TICKETS 16U
/* The routes' max_bytes, and what fits into them before it is sealed. */
#define SERVICE_LISTING_BYTES 65536U
#define SERVICE_PART_BYTES    1048576U
#define SERVICE_LISTING_PLAIN (SERVICE_LISTING_BYTES - SEAL_OVERHEAD)
#define SERVICE_PART_PLAIN    (SERVICE_PART_BYTES - SEAL_OVERHEAD)
/* The longest pause: one day. */
#define SERVICE_PAUSE_MAX_S 86400U

struct service_refusal {
    ipc_RefusalReason reason;
    const char *detail;
};

/* Who asks, as the broker stamped it. */
struct service_caller {
    uint32_t ticket;
    uint32_t uid;
};

/* The blob of an answer; valid until the next call. */
struct service_blob {
    const uint8_t *bytes;
    size_t length;
};

struct service_ticket {
    uint32_t number;   /* 0: free */
    struct seal *seal; /* reserved from the start */
};

struct service {
    struct engine *engine; /* the caller's */
    uint32_t session_uid;
    struct service_ticket tickets[SERVICE_TICKETS];
    uint8_t *listing; /* SERVICE_LISTING_PLAIN, locked, wiped after each use */
    uint8_t *sealed;  /* SERVICE_PART_BYTES */
    struct service_refusal refusal;
};

/*
 * Makes a service with all the locked memory that it will ever need: before the worker's lock.
 * Returns 0 or -errno; service_end frees it in either case.
 */
int service_reserve(struct service *service);

/* Begins to serve the frames of `engine` to `session_uid`. */
void service_begin(struct service *service, struct engine *engine, uint32_t session_uid);

/* Forgets every ticket's key and frees what service_reserve made. */
void service_end(struct service *service);

const struct service_refusal *service_session_key(struct service *service,
                                                  const struct service_caller *caller,
                                                  const ipc_SessionKey *request,
                                                  ipc_SessionKeyReply *out);

const struct service_refusal *service_frame_list(struct service *service,
                                                 const struct service_caller *caller,
                                                 const ipc_FrameList *request,
                                                 ipc_FrameListing *out, struct service_blob *blob);

const struct service_refusal *service_frame_fetch(struct service *service,
                                                  const struct service_caller *caller,
                                                  const ipc_FrameFetch *request, ipc_FramePart *out,
                                                  struct service_blob *blob);

const struct service_refusal *service_pause(struct service *service,
                                            const struct service_caller *caller,
                                            const ipc_CapturePause *request,
                                            ipc_CapturePaused *out);

/* A ticket is over: its key is wiped. */
void service_ticket_ended(struct service *service, uint32_t ticket);

/* How capture stands, for the broker. */
void service_status(const struct service *service, ipc_CaptureStatus *out);

#endif

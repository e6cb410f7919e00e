#include "service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "listing.h"
#include "secret_memory.h"

_Static_assert(SERVICE_PAUSE_MAX_S <= UINT32_MAX / 1000, "ms");

static const struct service_refusal *refuse(struct service *service, ipc_RefusalReason reason,
                                            const char *detail)
{
    service->refusal = (struct service_refusal){reason, detail};
    return &service->refusal;
}

int service_reserve(struct service *service)
{
    memset(service, 0, sizeof(*service));
    for (size_t i = 0; i < SERVICE_TICKETS; i++) {
        int error = seal_reserve(&service->tickets[i].seal);
        if (error != 0)
            return error;
    }
    service->listing = locked_alloc(SERVICE_LISTING_PLAIN);
    if (service->listing == NULL)
        return -errno;
    service->sealed = malloc(SERVICE_PART_BYTES);
    return service->sealed != NULL ? 0 : -ENOMEM;
}

void service_begin(struct service *service, struct engine *engine, uint32_t session_uid)
{
    service->engine = engine;
    service->session_uid = session_uid;
}

void service_end(struct service *service)
{
    for (size_t i = 0; i < SERVICE_TICKETS; i++)
        seal_free(service->tickets[i].seal);
    locked_free(service->listing, SERVICE_LISTING_PLAIN);
    free(service->sealed);
    memset(service, 0, sizeof(*service));
}

static struct service_ticket *find(struct service *service, uint32_t number)
{
    for (size_t i = 0; i < SERVICE_TICKETS; i++)
        if (service->tickets[i].number == number)
            return &service->tickets[i];
    return NULL;
}

/* The refusal of a caller that frames are not for; NULL if they are. */
static const struct service_refusal *check_owner(struct service *service,
                                                 const struct service_caller *caller)
{
    if (caller->ticket == 0)
        return refuse(service, ipc_RefusalReason_NOT_ALLOWED, "only tickets see frames");
    if (caller->uid != service->session_uid)
        return refuse(service, ipc_RefusalReason_NOT_ALLOWED,
                      "the screen belongs to another user's session");
    return NULL;
}

/* A ticket with a key, or the refusal in `why`. */
static struct service_ticket *open_ticket(struct service *service,
                                          const struct service_caller *caller,
                                          const struct service_refusal **why)
{
    *why = check_owner(service, caller);
    if (*why != NULL)
        return NULL;
    struct service_ticket *ticket = find(service, caller->ticket);
    if (ticket == NULL)
        *why = refuse(service, ipc_RefusalReason_BAD_REQUEST, "no key has been agreed on");
    return ticket;
}

const struct service_refusal *service_session_key(struct service *service,
                                                  const struct service_caller *caller,
                                                  const ipc_SessionKey *request,
                                                  ipc_SessionKeyReply *out)
{
    const struct service_refusal *why = check_owner(service, caller);
    if (why != NULL)
        return why;
    if (find(service, caller->ticket) != NULL)
        return refuse(service, ipc_RefusalReason_BAD_REQUEST, "a key has been agreed on already");
    struct service_ticket *ticket = find(service, 0);
    if (ticket == NULL)
        return refuse(service, ipc_RefusalReason_TOO_MANY, "too many tickets are open");
    if (seal_accept_into(ticket->seal, caller->ticket, request->public_key, out->public_key) != 0)
        return refuse(service, ipc_RefusalReason_BAD_REQUEST, "the public key is no good");
    ticket->number = caller->ticket;
    return NULL;
}

/* Decrypts a record into the engine's scratch memory, which the caller wipes; NULL if it cannot be.
 */
static uint8_t *read_record(struct service *service, uint64_t id)
{
    size_t capacity = 0, length = 0;
    uint8_t *plain = engine_scratch(service->engine, &capacity);
    if (ring_get(engine_ring(service->engine), id, plain, capacity, &length) != RING_OK)
        return NULL;
    return plain;
}

/* Gathers the heads of the records above `after` in `listing`. Returns its length. */
static size_t gather(struct service *service, uint64_t after, ipc_FrameListing *out)
{
    struct ring *ring = engine_ring(service->engine);
    size_t used = 0, length = 0;
    for (uint64_t id = after; (id = ring_next(ring, id, &length)) != 0;) {
        uint8_t *plain = read_record(service, id);
        if (plain == NULL)
            continue;
        int outcome = listing_append(service->listing, SERVICE_LISTING_PLAIN, &used, plain, length);
        explicit_bzero(plain, length);
        if (outcome != FRAME_OK) {
            out->more = outcome == FRAME_TOO_LARGE;
            break;
        }
        out->frames++;
    }
    return used;
}

const struct service_refusal *service_frame_list(struct service *service,
                                                 const struct service_caller *caller,
                                                 const ipc_FrameList *request,
                                                 ipc_FrameListing *out, struct service_blob *blob)
{
    const struct service_refusal *why;
    struct service_ticket *ticket = open_ticket(service, caller, &why);
    if (ticket == NULL)
        return why;
    *out = (ipc_FrameListing){0};
    size_t length = gather(service, request->after, out);
    struct seal_label label = {SEAL_LISTING, request->after, out->frames, out->more};
    seal_close(ticket->seal, &label, service->listing, length, service->sealed, SERVICE_PART_BYTES);
    explicit_bzero(service->listing, length);
    *blob = (struct service_blob){service->sealed, length + SEAL_OVERHEAD};
    return NULL;
}

const struct service_refusal *service_frame_fetch(struct service *service,
                                                  const struct service_caller *caller,
                                                  const ipc_FrameFetch *request, ipc_FramePart *out,
                                                  struct service_blob *blob)
{
    const struct service_refusal *why;
    struct service_ticket *ticket = open_ticket(service, caller, &why);
    if (ticket == NULL)
        return why;
    size_t length = 0;
    if (request->frame == 0 ||
        ring_next(engine_ring(service->engine), request->frame - 1, &length) != request->frame)
        return refuse(service, ipc_RefusalReason_NO_SUCH, "the frame has been forgotten");
    size_t parts = (length + SERVICE_PART_PLAIN - 1) / SERVICE_PART_PLAIN;
    if (request->part >= parts)
        return refuse(service, ipc_RefusalReason_NO_SUCH, "the frame has no such part");
    uint8_t *plain = read_record(service, request->frame);
    if (plain == NULL)
        return refuse(service, ipc_RefusalReason_FAILED, "the frame cannot be read");
    size_t from = (size_t)request->part * SERVICE_PART_PLAIN;
    size_t size = length - from < SERVICE_PART_PLAIN ? length - from : SERVICE_PART_PLAIN;
    *out = (ipc_FramePart){request->frame, request->part, (uint32_t)parts};
    struct seal_label label = {SEAL_PART, out->frame, out->part, out->parts};
    seal_close(ticket->seal, &label, plain + from, size, service->sealed, SERVICE_PART_BYTES);
    explicit_bzero(plain, length);
    *blob = (struct service_blob){service->sealed, size + SEAL_OVERHEAD};
    return NULL;
}

const struct service_refusal *service_pause(struct service *service,
                                            const struct service_caller *caller,
                                            const ipc_CapturePause *request, ipc_CapturePaused *out)
{
    if (caller->uid != 0 && caller->uid != service->session_uid)
        return refuse(service, ipc_RefusalReason_NOT_ALLOWED,
                      "only the session's owner and root may pause");
    if (request->seconds > SERVICE_PAUSE_MAX_S)
        return refuse(service, ipc_RefusalReason_BAD_REQUEST, "a pause lasts at most one day");
    struct engine_status status;
    engine_pause(service->engine, request->seconds);
    engine_status(service->engine, &status);
    out->until_ms = status.paused_until_ms;
    return NULL;
}

void service_ticket_ended(struct service *service, uint32_t number)
{
    struct service_ticket *ticket = number != 0 ? find(service, number) : NULL;
    if (ticket == NULL)
        return;
    seal_reset(ticket->seal);
    ticket->number = 0;
}

void service_status(const struct service *service, ipc_CaptureStatus *out)
{
    struct engine_status status;
    engine_status(service->engine, &status);
    *out = (ipc_CaptureStatus){.phase = status.paused_until_ms != 0
                                            ? ipc_CapturePhase_CAPTURE_PAUSED
                                            : ipc_CapturePhase_CAPTURE_CAPTURING,
                               .frames = status.frames,
                               .bytes = status.bytes,
                               .paused_until_ms = status.paused_until_ms,
                               .merged = status.merged};
    if (status.suspended)
        snprintf(out->detail, sizeof(out->detail), "the screen is locked or not in front");
}

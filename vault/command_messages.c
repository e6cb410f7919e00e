#include "command_messages.h"

#include <sodium.h>

#include "log.h"

/* Sends the answer with its blob, or the refusal in its place. */
static void answer(struct worker *worker, struct command_service *service,
                   const struct message *request, uint16_t number, const void *body,
                   const void *blob, size_t length, const struct service_refusal *refusal,
                   struct command_time now)
{
    if (!refusal) {
        worker_answer(worker, request, number, body, length ? blob : NULL, length);
        return;
    }
    if (command_may_log(service, false, now))
        log_warning("%s refused: %s", request->envelope.type->name, refusal->detail);
    worker_refuse(worker, request, refusal->reason, refusal->detail);
}

static void offer(struct worker *worker, struct command_service *service,
                  const struct message *message, struct command_time now)
{
    ipc_TokenOffer request;
    ipc_TokenDecision reply;
    ipc_RunnerWanted wanted;
    worker_decode(worker, message, &request);
    const struct service_refusal *refusal =
        command_offer(service, message->envelope.uid, message->envelope.blob,
                      message->envelope.blob_length, now, &reply);
    answer(worker, service, message, IPC_TOKEN_DECISION, &reply, service->receipt,
           service->receipt_length, refusal, now);
    /* In this order: uplink must hear "accepted" before the broker can tell it of the end. */
    if (command_wanted(service, &wanted))
        worker_notify(worker, IPC_RUNNER_WANTED, &wanted);
}

static void fetch(struct worker *worker, struct command_service *service,
                  const struct message *message, struct command_time now)
{
    ipc_CommandFetch request;
    ipc_CommandOrder reply;
    worker_decode(worker, message, &request);
    const struct service_refusal *refusal = command_fetch(service, &request, now, &reply);
    answer(worker, service, message, IPC_COMMAND_ORDER, &reply, service->order,
           service->order_length, refusal, now);
    sodium_memzero(service->order, service->order_length);
}

static void finished(struct worker *worker, struct command_service *service,
                     const struct message *message, struct command_time now)
{
    ipc_CommandFinished request;
    ipc_CommandRecorded reply;
    worker_decode(worker, message, &request);
    const struct service_refusal *refusal = command_finished(service, &request, now, &reply);
    answer(worker, service, message, IPC_COMMAND_RECORDED, &reply, NULL, 0, refusal, now);
}

static void lost(struct worker *worker, struct command_service *service,
                 const struct message *message, struct command_time now)
{
    ipc_CommandLost request;
    worker_decode(worker, message, &request);
    command_lost(service, &request, now);
}

static void query(struct worker *worker, struct command_service *service,
                  const struct message *message, struct command_time now)
{
    ipc_CommandQuery request;
    ipc_CommandQueryReply reply;
    worker_decode(worker, message, &request);
    const struct service_refusal *refusal = command_query(service, &request, now, &reply);
    answer(worker, service, message, IPC_COMMAND_QUERY_REPLY, &reply, service->receipt,
           service->receipt_length, refusal, now);
}

static void delivered(struct worker *worker, struct command_service *service,
                      const struct message *message, struct command_time now)
{
    ipc_ReceiptDelivered request;
    ipc_ReceiptForgotten reply;
    worker_decode(worker, message, &request);
    const struct service_refusal *refusal = command_delivered(service, &request, now, &reply);
    answer(worker, service, message, IPC_RECEIPT_FORGOTTEN, &reply, NULL, 0, refusal, now);
}

static void status(struct worker *worker, struct command_service *service,
                   const struct message *message, struct command_time now)
{
    static ipc_CommandStatusReply reply; /* large */
    ipc_CommandStatus request;
    worker_decode(worker, message, &request);
    const struct service_refusal *refusal = command_status(service, &reply);
    answer(worker, service, message, IPC_COMMAND_STATUS_REPLY, &reply, NULL, 0, refusal, now);
}

static void reset(struct worker *worker, struct command_service *service,
                  const struct message *message, struct command_time now)
{
    ipc_StoreReset request;
    ipc_StoreResetDone reply;
    worker_decode(worker, message, &request);
    const struct service_refusal *refusal =
        command_reset(service, message->envelope.uid, now, &reply);
    answer(worker, service, message, IPC_STORE_RESET_DONE, &reply, NULL, 0, refusal, now);
}

bool command_handle(struct worker *worker, struct command_service *service,
                    const struct message *message, struct command_time now)
{
    command_tick(service, now);
    switch (message->envelope.number) {
    case IPC_TOKEN_OFFER:
        offer(worker, service, message, now);
        return true;
    case IPC_COMMAND_FETCH:
        fetch(worker, service, message, now);
        return true;
    case IPC_COMMAND_FINISHED:
        finished(worker, service, message, now);
        return true;
    case IPC_COMMAND_LOST:
        lost(worker, service, message, now);
        return true;
    case IPC_COMMAND_QUERY:
        query(worker, service, message, now);
        return true;
    case IPC_RECEIPT_DELIVERED:
        delivered(worker, service, message, now);
        return true;
    case IPC_COMMAND_STATUS:
        status(worker, service, message, now);
        return true;
    case IPC_STORE_RESET:
        reset(worker, service, message, now);
        return true;
    default:
        return false;
    }
}

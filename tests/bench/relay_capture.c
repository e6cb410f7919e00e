/*
 * In the place of cloister-capture, under its policy and filter: answers every FrameFetch at once
 * with a message whose body and blob are RELAY_BYTES together. Looks at no screen.
 */
#include "capture_filter.h"
#include "relay.h"
#include "worker.h"

static void answer(struct worker *worker, const struct message *request)
{
    ipc_FrameFetch fetch;
    uint8_t blob[RELAY_ANSWER_BLOB] = {0};
    worker_decode(worker, request, &fetch);
    ipc_FramePart part = {.frame = RELAY_FRAME, .part = RELAY_PART, .parts = RELAY_PART};
    worker_answer(worker, request, IPC_FRAME_PART, &part, blob, sizeof(blob));
}

int main(void)
{
    if (sandbox_early())
        return WORKER_EXIT_SANDBOX;
    struct worker worker;
    struct message message;
    worker_start(&worker, "capture", IPC_PEER_CAPTURE, &capture_filter);
    worker_lock(&worker);
    for (;;) {
        worker_wait(&worker, NULL, 0, -1);
        while (worker_next(&worker, &message)) {
            if (message.envelope.number == IPC_FRAME_FETCH)
                answer(&worker, &message);
            message_free(&message);
        }
    }
}

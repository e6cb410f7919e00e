/*
 * A worker that has been taken over: it starts, locks itself behind the shipped filter and serves
 * like any other, and then says what it may not. What that is stands in `plan`, which the test
 * writes over in a copy of this program, since nothing can be handed to a worker from outside.
 */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "worker.h"

extern const struct sandbox_filter HOSTILE_FILTER;

/* "PLAN:" and one letter. */
static volatile const char plan[] = "PLAN:?";

static void send_raw(struct worker *worker, const void *bytes, size_t length)
{
    if (channel_send_raw(worker->channel, bytes, length) != CHANNEL_OK)
        worker_fail(WORKER_EXIT_FAILED, "cannot send");
}

static void header(uint8_t *out, uint16_t type, uint32_t request)
{
    envelope_write(out, type, request, 0, 0);
}

__attribute__((noreturn)) static void flood(struct worker *worker)
{
    ipc_VaultEvent event = {.kind = ipc_IDENTIFIER_ADOPTED};
    ipc_MachineIdentity ask = {0};
    for (;;) {
        if (worker->peer == IPC_PEER_VAULT)
            worker_notify(worker, IPC_VAULT_EVENT, &event);
        else
            worker_request(worker, IPC_MACHINE_IDENTITY, &ask, NULL, 0);
    }
}

static void misbehave(struct worker *worker)
{
    uint8_t m[ENVELOPE_HEADER + 64] = {0};
    switch (plan[5]) {
    case 'g': /* a type that is not its own */
        header(m, IPC_STATUS, 1);
        send_raw(worker, m, ENVELOPE_HEADER);
        break;
    case 't': /* truncated */
        header(m, IPC_STATUS, 1);
        send_raw(worker, m, ENVELOPE_HEADER - 5);
        break;
    case 'l': /* trailing bytes */
        header(m, IPC_STATUS, 1);
        send_raw(worker, m, ENVELOPE_HEADER + 5);
        break;
    case 'u': /* an unknown type */
        header(m, 9999, 1);
        send_raw(worker, m, ENVELOPE_HEADER);
        break;
    case 'v': /* another version */
        header(m, IPC_STATUS, 1);
        m[2] ^= 0xff;
        send_raw(worker, m, ENVELOPE_HEADER);
        break;
    case 'a': /* an answer to nothing */
        header(m, IPC_REFUSED, 4711);
        send_raw(worker, m, ENVELOPE_HEADER);
        break;
    case 'h': /* a second Hello */
        header(m, IPC_HELLO, 2);
        send_raw(worker, m, ENVELOPE_HEADER);
        break;
    case 'o': { /* oversize: more than nng takes */
        size_t length = ipc_longest_from(worker->peer) + 1;
        send_raw(worker, calloc(1, length), length);
        break;
    }
    case 'f': /* a flood of what is granted */
        flood(worker);
    case 'w': /* a log line that pretends to be two, and another's */
        log_line(LOG_EMERG, "mine\n<0>broker: forged\x1b[2J");
        break;
    default:
        break;
    }
}

int main(void)
{
    static struct worker worker;
    if (sandbox_early())
        return WORKER_EXIT_SANDBOX;
    worker_start(&worker, HOSTILE_NAME, HOSTILE_PEER, &HOSTILE_FILTER);
    worker_lock(&worker);
    misbehave(&worker);
    for (;;) {
        struct message message;
        worker_wait(&worker, NULL, 0, -1);
        while (worker_next(&worker, &message))
            message_free(&message);
    }
}

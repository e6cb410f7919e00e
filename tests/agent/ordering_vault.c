/*
 * A vault that orders whatever it is asked for, under the key of the monitor's grant: what a
 * hostile broker could at most get out of a real one. Its CommandFetch names what is to be ordered
 * by its number: 1 and 2 are two commands, 3 is the first of the profile "user".
 */
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "order.h"
#include "worker.h"

#define GRANT_FD 3

extern const struct sandbox_filter vault_filter;

static struct grant grant;

static size_t write_order(uint8_t *out, const ipc_CommandFetch *asked)
{
    struct order order = {
        .slot = asked->slot,
        .generation = asked->generation,
        .profile = asked->number == 3 ? 2 : 1,
        .time_ms = 10000,
        .output_bytes = 4096,
        .argc = 2,
        .argv = {"/bin/echo", asked->number == 2 ? "another was run" : "it was run"},
    };
    memset(order.token, 0xab, sizeof(order.token));
    return order_write(out, ORDER_MAX, &order);
}

static void answer(struct worker *worker, const struct message *message)
{
    static uint8_t bytes[ORDER_MAX];
    ipc_CommandFetch asked;
    ipc_CommandOrder order = {0};
    worker_decode(worker, message, &asked);
    size_t length = write_order(bytes, &asked);
    order_tag(order.tag, bytes, length, grant.key);
    worker_answer(worker, message, IPC_COMMAND_ORDER, &order, bytes, length);
}

int main(void)
{
    static struct worker worker;
    if (sandbox_early() || sodium_init() < 0)
        return WORKER_EXIT_SANDBOX;
    if (pread(GRANT_FD, &grant, sizeof(grant), 0) != sizeof(grant) || grant.magic != GRANT_MAGIC)
        return WORKER_EXIT_FAILED;
    close(GRANT_FD);
    worker_start(&worker, "vault", IPC_PEER_VAULT, &vault_filter);
    worker_lock(&worker);
    for (;;) {
        struct message message;
        worker_wait(&worker, NULL, 0, -1);
        while (worker_next(&worker, &message)) {
            if (message.envelope.number == IPC_COMMAND_FETCH)
                answer(&worker, &message);
            message_free(&message);
        }
    }
}

/*
 * cloister-resolver: turns the one configured name into addresses, says them, and is gone.
 *
 * It reads what DNS servers send, so it holds nothing: no state, no key, no connection to the
 * console, and a new process for each question.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "resolve.h"
#include "resolver_filter.h"
#include "worker.h"

/* The C library's own limits hold for each server and search domain; this one holds for all. */
#define PATIENCE_S  30
#define FAREWELL_MS 2000

static void out_of_time(int signal_number)
{
    static const char text[] = "<4>resolver: no answer within 30 s\n";

    (void)signal_number;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(WORKER_EXIT_NOT_YET);
}

static void fill(ipc_ResolveAnswer *out, const struct resolve_answer *answer)
{
    *out = (ipc_ResolveAnswer)ipc_ResolveAnswer_init_zero;
    out->addresses_count = (pb_size_t)answer->count;
    for (size_t i = 0; i < answer->count; i++) {
        const struct resolve_address *from = &answer->addresses[i];

        out->addresses[i].address.size = (pb_size_t)from->length;
        memcpy(out->addresses[i].address.bytes, from->bytes, from->length);
        out->addresses[i].scope = from->scope;
    }
    snprintf(out->error, sizeof out->error, "%s", answer->error);
}

/* The broker ends this process when it has heard; leaving at once could take the answer along. */
static __attribute__((noreturn)) void leave(struct worker *worker)
{
    struct message message;

    for (int waited = 0; waited < FAREWELL_MS; waited += 100) {
        worker_wait(worker, NULL, 0, 100);
        while (worker_next(worker, &message))
            message_free(&message);
    }
    _exit(WORKER_EXIT_DONE);
}

int main(void)
{
    static struct worker worker;
    struct resolve_answer answer;
    ipc_ResolveAnswer reply;
    const char *name;

    if (sandbox_early())
        return WORKER_EXIT_SANDBOX;
    log_setup("resolver", 1);
    resolve_setup();
    worker_start(&worker, "resolver", IPC_PEER_RESOLVER, &resolver_filter);
    if (worker.welcome.which_config != ipc_Welcome_resolver_tag)
        worker_fail(WORKER_EXIT_PROTOCOL, "the welcome is not the resolver's");
    name = worker.welcome.config.resolver.name;
    signal(SIGALRM, out_of_time);
    alarm(PATIENCE_S);
    worker_lock(&worker);
    resolve_name(&answer, name);
    if (answer.error[0])
        log_warning("%s: %s", name, answer.error);
    fill(&reply, &answer);
    worker_notify(&worker, IPC_RESOLVE_ANSWER, &reply);
    leave(&worker);
}
